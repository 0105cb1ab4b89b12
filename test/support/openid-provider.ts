/** A real OpenID provider on 127.0.0.1: whoever is named to it signs in at once, on a device of their own. */
import { generateKeyPairSync } from "node:crypto";
import { request as httpsRequest, createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Provider } from "oidc-provider";
import type { KeyAndCertificate } from "@berth/apiserver";

export interface OpenIdProvider extends AsyncDisposable {
  readonly issuer: string;
  /** Audience of the tokens. */
  readonly clientId: string;
  /** Claims of people by their name; may be changed. */
  readonly people: Map<string, Record<string, unknown>>;
  /** An ID token for one of them, by the flow of OpenID Connect CIBA. */
  idToken(name: string): Promise<string>;
}

const grantType = "urn:openid:params:grant-type:ciba";

/** @param claims what tokens carry besides `sub` */
export async function startOpenIdProvider(
  { keyPem, certificatePem }: KeyAndCertificate,
  authorityPem: string,
  claims: string[],
): Promise<OpenIdProvider> {
  const people: OpenIdProvider["people"] = new Map();
  const server = createServer({ key: keyPem, cert: certificatePem });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = { id: "berth", secret: "a secret of the client, long enough" };
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider: Provider = new Provider(issuer, {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: [grantType],
        redirect_uris: [],
        response_types: [],
        backchannel_token_delivery_mode: "poll",
        token_endpoint_auth_method: "client_secret_post",
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "1" }] },
    cookies: { keys: ["of tests"] },
    scopes: ["openid", "posix"],
    claims: { openid: ["sub"], posix: claims },
    conformIdTokenClaims: false,
    findAccount: (_: unknown, id: string) =>
      people.has(id) ? { accountId: id, claims: () => ({ sub: id, ...people.get(id) }) } : undefined,
    features: {
      devInteractions: { enabled: false },
      ciba: {
        enabled: true,
        deliveryModes: ["poll"],
        processLoginHint: (_: unknown, hint: string) => Promise.resolve(hint),
        validateRequestContext: () => Promise.resolve(),
        verifyUserCode: () => Promise.resolve(),
        async triggerAuthenticationDevice(_: unknown, request: unknown, account: { accountId: string }) {
          const grant = new provider.Grant({ clientId: client.id, accountId: account.accountId });
          grant.addOIDCScope("openid posix");
          await provider.backchannelResult(request, await grant.save());
        },
      },
    },
  });
  server.on("request", provider.callback());
  const post = (path: string, fields: Record<string, string>): Promise<Record<string, string>> =>
    new Promise((resolve, reject) => {
      const body = new URLSearchParams({ client_id: client.id, client_secret: client.secret, ...fields }).toString();
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const asked = httpsRequest(`${issuer}${path}`, { method: "POST", headers, ca: authorityPem }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => (text += part));
        answer.on("end", () => {
          if (answer.statusCode === 200) resolve(JSON.parse(text) as Record<string, string>);
          else reject(new Error(`${path}: ${answer.statusCode} ${text}`));
        });
      });
      asked.on("error", reject);
      asked.end(body);
    });
  return {
    issuer,
    clientId: client.id,
    people,
    async idToken(name) {
      const { auth_req_id: request } = await post("/backchannel", { scope: "openid posix", login_hint: name });
      const { id_token: token } = await post("/token", { grant_type: grantType, auth_req_id: request! });
      return token!;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
