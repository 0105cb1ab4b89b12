import { randomBytes } from "node:crypto";
import { isIP } from "node:net";

export interface KeyAndCertificate {
  keyPem: string;
  certificatePem: string;
}

export interface CertificateRequest {
  commonName: string;
  /** Kubernetes reads these as groups. */
  organizations?: readonly string[];
  /** DNS names and IP addresses. */
  alternativeNames?: readonly string[];
  use: "authority" | "server" | "client";
  notBefore: Date;
  notAfter: Date;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Issues a certificate (RFC 5280) with a new EC P-256 key; without an issuer it signs itself. */
export async function issueCertificate(
  request: CertificateRequest,
  issuer?: KeyAndCertificate,
): Promise<KeyAndCertificate> {
  // Loaded by who issues, because the library takes its time and memory; it needs the polyfill first.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const signingKey =
    issuer === undefined
      ? keys.privateKey
      : await crypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(issuer.keyPem), algorithm, false, [
          "sign",
        ]);
  const authority = issuer === undefined ? undefined : new x509.X509Certificate(issuer.certificatePem);
  const isAuthority = request.use === "authority";
  const names = request.alternativeNames ?? [];
  const subject = [
    ...(request.organizations ?? []).map((organization) => ({ O: [organization] })),
    { CN: [request.commonName] },
  ];
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x01;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString("hex"),
    subject,
    issuer: authority?.subjectName.toJSON() ?? subject,
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority, undefined, true),
      new x509.KeyUsagesExtension(
        isAuthority ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign : x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority?.publicKey ?? keys.publicKey),
      ...(isAuthority ? [] : [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[purposes[request.use]]])]),
      ...(names.length === 0
        ? []
        : [
            new x509.SubjectAlternativeNameExtension(
              names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
            ),
          ]),
    ],
  });
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  return { keyPem: `${key}\n`, certificatePem: `${certificate.toString("pem")}\n` };
}

const purposes = { authority: "serverAuth", server: "serverAuth", client: "clientAuth" } as const;
