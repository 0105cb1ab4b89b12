import { writePrivateFile } from "./pki/authority.ts";

export interface KubeconfigOptions {
  url: string;
  /** PEM. */
  certificateAuthority: string;
  user: string;
  token: string;
  namespace?: string;
}

/** A kubeconfig with one context, `berth`. JSON is YAML, and what every client reads. */
export function kubeconfig(options: KubeconfigOptions): string {
  const name = "berth";
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      {
        name,
        cluster: {
          server: options.url,
          "certificate-authority-data": Buffer.from(options.certificateAuthority).toString("base64"),
        },
      },
    ],
    users: [{ name: options.user, user: { token: options.token } }],
    contexts: [
      {
        name,
        context: {
          cluster: name,
          user: options.user,
          ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
        },
      },
    ],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

export function writeKubeconfig(path: string, options: KubeconfigOptions): void {
  writePrivateFile(path, kubeconfig(options));
}
