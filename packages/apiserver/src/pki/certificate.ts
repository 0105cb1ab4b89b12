import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import * as der from "./der.ts";

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

const ecdsaWithSha256 = der.sequence(der.identifier("1.2.840.10045.4.3.2"));

/** Issues a certificate (RFC 5280) with a new EC P-256 key; without an issuer it signs itself. */
export function issueCertificate(request: CertificateRequest, issuer?: KeyAndCertificate): KeyAndCertificate {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keyPem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const publicKey = createPublicKey(privateKey);
  const signer = issuer === undefined ? privateKey : createPrivateKey(issuer.keyPem);
  const subject = distinguishedName(request.commonName, request.organizations ?? []);
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x01;
  const body = der.sequence(
    der.tagged(0xa0, der.integer(Buffer.from([2]))),
    der.integer(serial),
    ecdsaWithSha256,
    issuer === undefined ? subject : subjectOf(issuer.certificatePem),
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    der.tagged(0xa3, der.sequence(...extensions(request, publicKey, createPublicKey(signer)))),
  );
  const certificate = der.sequence(body, ecdsaWithSha256, der.bits(sign("sha256", body, signer)));
  const lines = certificate.toString("base64").match(/.{1,64}/g)!;
  return {
    keyPem,
    certificatePem: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
  };
}

function distinguishedName(commonName: string, organizations: readonly string[]): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    der.set(der.sequence(der.identifier(type), der.text(value)));
  return der.sequence(
    ...organizations.map((organization) => attribute("2.5.4.10", organization)),
    attribute("2.5.4.3", commonName),
  );
}

function extensions(request: CertificateRequest, own: KeyObject, issuing: KeyObject): Buffer[] {
  const extension = (type: string, critical: boolean, value: Buffer): Buffer =>
    der.sequence(der.identifier(type), ...(critical ? [der.boolean(true)] : []), der.octets(value));
  const authority = request.use === "authority";
  const list = [
    extension("2.5.29.19", true, authority ? der.sequence(der.boolean(true)) : der.sequence()),
    // keyCertSign and cRLSign, or digitalSignature.
    extension("2.5.29.15", true, authority ? der.bits(Buffer.from([0x06]), 1) : der.bits(Buffer.from([0x80]), 7)),
    extension("2.5.29.14", false, der.octets(keyIdentifier(own))),
    extension("2.5.29.35", false, der.sequence(der.tagged(0x80, keyIdentifier(issuing)))),
  ];
  if (!authority) {
    const purpose = request.use === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
    list.push(extension("2.5.29.37", false, der.sequence(der.identifier(purpose))));
  }
  if (request.alternativeNames?.length) {
    const names = request.alternativeNames.map((name) => {
      const address = addressBytes(name);
      return address === undefined ? der.tagged(0x82, Buffer.from(name)) : der.tagged(0x87, address);
    });
    list.push(extension("2.5.29.17", false, der.sequence(...names)));
  }
  return list;
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha1")
    .update(key.export({ type: "spki", format: "der" }))
    .digest();
}

function addressBytes(name: string): Buffer | undefined {
  if (isIPv4(name)) return Buffer.from(name.split(".").map(Number));
  if (!isIPv6(name)) return undefined;
  const [head = "", tail] = name.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The subject's bytes out of an issuer's certificate: its sixth part, after version, serial, algorithm, issuer, validity. */
function subjectOf(certificatePem: string): Buffer {
  const certificate = Buffer.from(certificatePem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const body = read(certificate, read(certificate, 0).start);
  let position = body.start;
  for (let index = 0; index < 5; index++) position = read(certificate, position).end;
  return certificate.subarray(position, read(certificate, position).end);
}

function read(bytes: Buffer, position: number): { start: number; end: number } {
  let length = bytes[position + 1]!;
  let start = position + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[start++]!;
  }
  return { start, end: start + length };
}
