import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { writePrivateFile } from "../pki/authority.ts";

export interface TokenHolder {
  user: string;
  groups: string[];
  uid?: string;
}

/** A new bearer token: 256 random bits. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** `tokens.json`: bearer token → who holds it. Read again when another process has changed it. */
export class TokenFile {
  private readonly path: string;
  private tokens: Record<string, TokenHolder> = {};
  private stamp = "";

  constructor(path: string) {
    this.path = path;
    this.refresh();
  }

  private refresh(): void {
    if (!existsSync(this.path)) return;
    const { mtimeMs, size, ino } = statSync(this.path);
    const stamp = `${mtimeMs}/${size}/${ino}`;
    if (stamp === this.stamp) return;
    const text = readFileSync(this.path, "utf8");
    try {
      this.tokens = Object.assign(Object.create(null) as object, JSON.parse(text)) as Record<string, TokenHolder>;
    } catch {
      throw new Error(`${this.path} is not JSON: it must map each token to {"user": …, "groups": […]}`);
    }
    this.stamp = stamp;
  }

  find(token: string): TokenHolder | undefined {
    const known = this.tokens[token];
    if (known !== undefined) return known;
    this.refresh();
    return this.tokens[token];
  }

  /** The token of a user, if there is one. */
  tokenOf(user: string): string | undefined {
    this.refresh();
    return Object.keys(this.tokens).find((token) => this.tokens[token]!.user === user);
  }

  add(holder: TokenHolder): string {
    this.refresh();
    const token = newToken();
    this.tokens[token] = holder;
    this.write();
    return token;
  }

  remove(token: string): void {
    this.refresh();
    delete this.tokens[token];
    this.write();
  }

  private write(): void {
    writePrivateFile(this.path, `${JSON.stringify(this.tokens, null, 2)}\n`);
    this.stamp = "";
    this.refresh();
  }
}

/** The token of `user` in a data folder, made when there is none. Works while the server runs: it reads the file again. */
export function ensureToken(path: string, holder: TokenHolder): string {
  const file = new TokenFile(path);
  return file.tokenOf(holder.user) ?? file.add(holder);
}

export interface ServiceAccountClaims {
  iss: string;
  sub: string;
  aud: string[];
  iat: number;
  nbf: number;
  exp: number;
  jti: string;
  "kubernetes.io": {
    namespace: string;
    serviceaccount: { name: string; uid: string };
    pod?: { name: string; uid: string };
    secret?: { name: string; uid: string };
    node?: { name: string; uid: string };
  };
}

export const tokenIssuer = "https://berth.internal";
export const defaultAudience = "https://kubernetes.default.svc";

/** Service account tokens: JWTs signed with HMAC-SHA256 (RFC 7518 3.2) by a key that only this server holds. */
export class TokenSigner {
  private readonly key: Buffer;

  constructor(path: string) {
    if (!existsSync(path)) writePrivateFile(path, randomBytes(32).toString("base64"));
    this.key = Buffer.from(readFileSync(path, "utf8"), "base64");
    if (this.key.length < 32)
      throw new Error(`${path} is not a signing key: remove it, and new tokens will be asked for`);
  }

  sign(claims: ServiceAccountClaims): string {
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const body = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
    return `${body}.${this.signature(body).toString("base64url")}`;
  }

  /** The claims of a token with a right signature that has not ended; else `undefined`. */
  verify(token: string, nowSeconds: number): ServiceAccountClaims | undefined {
    const end = token.lastIndexOf(".");
    if (end < 0 || token.indexOf(".") === end) return undefined;
    const body = token.slice(0, end);
    const given = Buffer.from(token.slice(end + 1), "base64url");
    const right = this.signature(body);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const claims = JSON.parse(
      Buffer.from(body.slice(body.indexOf(".") + 1), "base64url").toString("utf8"),
    ) as ServiceAccountClaims;
    return claims.exp > nowSeconds && claims.nbf <= nowSeconds + 60 ? claims : undefined;
  }

  private signature(body: string): Buffer {
    return createHmac("sha256", this.key).update(body).digest();
  }
}
