import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { ensurePki, issueClientCertificate } from "./authority.ts";

it("makes a CA once and certificates that OpenSSL takes as signed by it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-pki-"));
  const now = new Date("2026-11-22T00:00:00Z");
  const names = ["localhost", "127.0.0.1", "::1"];
  const first = await ensurePki(folder, names, now);
  const authority = new X509Certificate(first.authorityPem);
  const server = new X509Certificate(first.server.certificatePem);
  assert.ok(authority.ca && authority.verify(authority.publicKey));
  assert.ok(!server.ca && server.verify(authority.publicKey) && server.checkIssued(authority));
  assert.equal(server.checkHost("localhost"), "localhost");
  assert.equal(server.checkIP("127.0.0.1"), "127.0.0.1");
  assert.equal(server.checkIP("::1"), "::1");
  assert.equal(statSync(join(folder, "ca.key")).mode & 0o777, 0o600);
  assert.deepEqual(await ensurePki(folder, names, now), first);
  // Another name, or the end in sight: a new server certificate of the same CA.
  const more = await ensurePki(folder, [...names, "berth.example"], now);
  assert.equal(more.authorityPem, first.authorityPem);
  assert.equal(new X509Certificate(more.server.certificatePem).checkHost("berth.example"), "berth.example");
  const later = await ensurePki(folder, names, new Date("2029-02-20T00:00:00Z"));
  assert.notEqual(later.server.certificatePem, more.server.certificatePem);
  const client = new X509Certificate(
    (await issueClientCertificate(folder, "ada", ["bio", "users"], now)).certificatePem,
  );
  assert.equal(client.subject, "O=bio\nO=users\nCN=ada");
  rmSync(folder, { recursive: true });
});
