export { startApiServer } from "./server.ts";
export type { ApiServer, ApiServerOptions, Log } from "./server.ts";
export type { ExtraRoute } from "./http/dispatch.ts";
export type { Identity } from "./authentication/identity.ts";
export { ensureToken, newToken, TokenFile } from "./authentication/tokens.ts";
export type { TokenHolder } from "./authentication/tokens.ts";
export { issueClientCertificate } from "./pki/authority.ts";
export { kubeconfig, writeKubeconfig } from "./kubeconfig.ts";
export type { KubeconfigOptions } from "./kubeconfig.ts";
