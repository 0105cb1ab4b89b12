import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createClient, inClusterConnection, loadKubeconfig } from "./index.ts";
import { tokenFromFile, tokenFromProgram } from "./tokens.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-tokens-"));
after(() => rmSync(folder, { recursive: true }));

function program(name: string, lines: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("a token in a file is read again after a minute, and at once where it was refused", async () => {
  const path = join(folder, "token");
  let now = 0;
  writeFileSync(path, "one\n");
  const token = tokenFromFile(path, () => now);
  assert.equal(await token(false), "one");
  writeFileSync(path, "two\n");
  assert.equal(await token(false), "one");
  assert.equal(await token(true), "two");
  writeFileSync(path, "three\n");
  now += 61_000;
  assert.equal(await token(false), "three");
  rmSync(path);
  assert.equal(await token(true), "three");
  await assert.rejects(tokenFromFile(join(folder, "none"))(false), /none cannot be read/);
});

test("a program is asked for a token when the last one ends or is refused, with the words of the kubeconfig", async () => {
  const calls = join(folder, "calls");
  const answer = `{"kind":"ExecCredential","status":{"token":"t-$1-$EXTRA","expirationTimestamp":"1970-01-01T00:01:00Z"}}`;
  const command = program("helper", `echo x >>${calls}; cat <<END\n${answer}\nEND`);
  let now = 0;
  const token = tokenFromProgram(
    { command: "./helper", args: ["a"], env: [{ name: "EXTRA", value: "b" }] },
    folder,
    () => now,
  );
  assert.deepEqual(await Promise.all([token(false), token(false)]), ["t-a-b", "t-a-b"]);
  assert.equal(readFileSync(calls, "utf8"), "x\n");
  now = 55_000;
  await token(false);
  await token(true);
  assert.equal(readFileSync(calls, "utf8"), "x\nx\nx\n");
  const missing = tokenFromProgram({ command: "/no/such", installHint: "get it from the site" }, folder);
  await assert.rejects(missing(false), /was not found; get it from the site/);
  const failing = tokenFromProgram({ command: program("failing", "echo please log in >&2; exit 3") }, folder);
  await assert.rejects(failing(false), /failed: please log in/);
  assert.ok(command.startsWith(folder));
});

test("a client asks for a new token once when the server refuses the one that it has", async () => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.statusCode = request.headers.authorization === "Bearer new" ? 200 : 401;
    response.end("{}");
  }).listen(0, "127.0.0.1");
  after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  let isRenewed = false;
  const client = createClient({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokenSource: (isRefused) => {
      isRenewed ||= isRefused;
      return Promise.resolve(isRenewed ? "new" : "old");
    },
  });
  after(() => client.close());
  await client.request({ method: "GET", path: "/version" });
  assert.deepEqual(seen, ["Bearer old", "Bearer new"]);
});

test("what a pod is given leads to its cluster, and a kubeconfig may name a file or a program", async () => {
  writeFileSync(join(folder, "ca.crt"), "CA");
  writeFileSync(join(folder, "token"), "pod");
  const found = inClusterConnection({ KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" }, folder);
  assert.equal(found?.server, "https://[fd00::1]:6443");
  assert.equal(await found.tokenSource?.(false), "pod");
  assert.equal(inClusterConnection({}, folder), undefined);
  const path = join(folder, "config");
  const config = (user: object): string =>
    JSON.stringify({
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
      clusters: [{ name: "k", cluster: { server: "https://k" } }],
      users: [{ name: "u", user }],
    });
  writeFileSync(path, config({ tokenFile: "token" }));
  assert.equal(await loadKubeconfig({ path }).connection.tokenSource?.(false), "pod");
  writeFileSync(path, config({ exec: { command: "./helper", args: null } }));
  assert.match((await loadKubeconfig({ path }).connection.tokenSource?.(false)) ?? "", /^t-/);
});
