/** Keys and certificates of one lab, and kubeconfigs for whoever is to talk to its API server. */
import { issueCertificate, type CertificateRequest, type KeyAndCertificate } from "@berth/apiserver";
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const day = 86_400_000;

export class Pki {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  static async create(folder: string): Promise<Pki> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const pki = new Pki(folder);
    pki.#write("ca", await issueCertificate({ commonName: "lab", use: "authority", ...validity() }));
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    pki.#write("service-accounts", {
      keyPem: privateKey.export({ type: "sec1", format: "pem" }) as string,
      certificatePem: publicKey.export({ type: "spki", format: "pem" }) as string,
    });
    return pki;
  }

  key = (name: string): string => join(this.folder, `${name}.key`);
  certificate = (name: string): string => join(this.folder, `${name}.crt`);

  get authorityPem(): string {
    return readFileSync(this.certificate("ca"), "utf8");
  }

  async issue(name: string, request: Omit<CertificateRequest, "notBefore" | "notAfter">): Promise<KeyAndCertificate> {
    const authority = { keyPem: readFileSync(this.key("ca"), "utf8"), certificatePem: this.authorityPem };
    const pair = await issueCertificate({ ...request, ...validity() }, authority);
    this.#write(name, pair);
    return pair;
  }

  /** By whose certificates the API server hands requests on, under an authority of their own. */
  async frontProxy(): Promise<void> {
    const authority = await issueCertificate({ commonName: "front-proxy", use: "authority", ...validity() });
    this.#write("front-proxy-ca", authority);
    const request = { commonName: "front-proxy-client", use: "client" as const, ...validity() };
    this.#write("front-proxy-client", await issueCertificate(request, authority));
  }

  #write(name: string, pair: KeyAndCertificate): void {
    writeFileSync(this.key(name), pair.keyPem, { mode: 0o600 });
    writeFileSync(this.certificate(name), pair.certificatePem);
  }
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 365 * day) };
}

/** JSON is YAML. @param user the entry of the user, as in a kubeconfig */
export function writeKubeconfig(
  path: string,
  server: { url: string; authorityPem: string },
  user: { token: string } | KeyAndCertificate,
  namespace?: string,
): string {
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  const credentials =
    "token" in user
      ? { token: user.token }
      : { "client-certificate-data": encode(user.certificatePem), "client-key-data": encode(user.keyPem) };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "lab",
        cluster: { server: server.url, "certificate-authority-data": encode(server.authorityPem) },
      },
    ],
    users: [{ name: "user", user: credentials }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "user", namespace } }],
    "current-context": "lab",
  };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return path;
}
