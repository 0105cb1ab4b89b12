import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KeyAndCertificate } from "./certificate.ts";
import { type Issue, withIssuer } from "./issuer.ts";

const day = 86_400_000;
const authorityDays = 3650;
const serverDays = 825;

export interface ClusterPki {
  /** PEM of the cluster's certificate authority. */
  authorityPem: string;
  server: KeyAndCertificate;
}

/**
 * The cluster's own CA and the server's certificate in `DATA/pki`, made when they are missing; the server's is made
 * again when it nears its end or lacks one of the names.
 */
export function ensurePki(folder: string, names: readonly string[], now: Date): Promise<ClusterPki> {
  return withIssuer((issue) => ensurePkiBy(issue, folder, names, now));
}

async function ensurePkiBy(issue: Issue, folder: string, names: readonly string[], now: Date): Promise<ClusterPki> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  refuseHalfAuthority(folder);
  const authority =
    readPair(folder, "ca") ??
    writePair(
      folder,
      "ca",
      await issue({
        commonName: "berth",
        use: "authority",
        notBefore: new Date(now.getTime() - day),
        notAfter: new Date(now.getTime() + authorityDays * day),
      }),
    );
  let server = readPair(folder, "apiserver");
  if (server === undefined || !isUsable(server, authority, names, now)) {
    server = writePair(
      folder,
      "apiserver",
      await issue(
        {
          commonName: "kube-apiserver",
          alternativeNames: names,
          use: "server",
          notBefore: new Date(now.getTime() - day),
          notAfter: new Date(now.getTime() + serverDays * day),
        },
        authority,
      ),
    );
  }
  return { authorityPem: authority.certificatePem, server };
}

/** A client certificate of the cluster's CA: user name and groups as Kubernetes reads them. */
export async function issueClientCertificate(
  folder: string,
  user: string,
  groups: readonly string[],
  now: Date,
): Promise<KeyAndCertificate> {
  const authority = readPair(folder, "ca");
  if (authority === undefined) throw new Error(`${folder} holds no certificate authority: start the API server once`);
  const request = {
    commonName: user,
    organizations: groups,
    use: "client",
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + 365 * day),
  } as const;
  return withIssuer((issue) => issue(request, authority));
}

/** Another authority would make every kubeconfig that was handed out useless, so that none is made in silence. */
function refuseHalfAuthority(folder: string): void {
  const [certificate, key] = [join(folder, "ca.crt"), join(folder, "ca.key")];
  const way = "restore both from a backup, or remove both: new ones are made, and kubeconfigs must be handed out anew";
  for (const [missing, other] of [
    [certificate, key],
    [key, certificate],
  ] as const) {
    if (!existsSync(missing) && existsSync(other))
      throw new Error(`${missing} is missing, and ${other} is there: ${way}`);
  }
  if (!existsSync(certificate)) return;
  try {
    if (new X509Certificate(readFileSync(certificate)).checkPrivateKey(createPrivateKey(readFileSync(key)))) return;
  } catch {
    // Told below.
  }
  throw new Error(`${certificate} or its key ${key} is damaged: ${way}`);
}

function isUsable(pair: KeyAndCertificate, authority: KeyAndCertificate, names: readonly string[], now: Date): boolean {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pair.certificatePem);
    createPrivateKey(pair.keyPem);
  } catch {
    return false;
  }
  if (!certificate.verify(new X509Certificate(authority.certificatePem).publicKey)) return false;
  if (certificate.validToDate.getTime() - now.getTime() < 30 * day) return false;
  const stated = new Set(
    (certificate.subjectAltName ?? "").split(", ").map((name) => name.replace(/^(DNS|IP Address):/, "")),
  );
  return names.every((name) => stated.has(name) || name.includes(":"));
}

function readPair(folder: string, name: string): KeyAndCertificate | undefined {
  const certificate = join(folder, `${name}.crt`);
  const key = join(folder, `${name}.key`);
  if (!existsSync(certificate) || !existsSync(key)) return undefined;
  return { certificatePem: readFileSync(certificate, "utf8"), keyPem: readFileSync(key, "utf8") };
}

function writePair(folder: string, name: string, pair: KeyAndCertificate): KeyAndCertificate {
  writePrivateFile(join(folder, `${name}.key`), pair.keyPem);
  writePrivateFile(join(folder, `${name}.crt`), pair.certificatePem);
  return pair;
}

/** Writes in whole or not at all, readable by the owner only. */
export function writePrivateFile(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.new`;
  try {
    writeFileSync(temporary, content, { mode: 0o600, flush: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
