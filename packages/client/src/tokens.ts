/** Bearer tokens that change while a client lives: in a file that somebody renews, or from a program that is asked. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";

/** Gives the token to send; asked again with `isRefused` after the server has refused the last one. */
export type TokenSource = (isRefused: boolean) => Promise<string>;

/** A kubelet renews a token long before it ends; client-go looks once a minute too. */
const fileMs = 60_000;
/** A token is renewed so long before it ends. */
const marginMs = 10_000;
const programTimeoutMs = 60_000;

export function tokenFromFile(path: string, now: () => number = Date.now): TokenSource {
  let known: { token: string; readAt: number } | undefined;
  return async (isRefused) => {
    if (known !== undefined && !isRefused && now() < known.readAt + fileMs) return known.token;
    try {
      known = { token: (await readFile(path, "utf8")).trim(), readAt: now() };
    } catch (error) {
      // A volume that is just being renewed; the token of before may still be good.
      if (known === undefined) throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
    return known.token;
  };
}

/** `exec` of a kubeconfig's user: client.authentication.k8s.io/v1 and v1beta1. */
export interface CredentialProgram {
  apiVersion?: string;
  command?: string;
  args?: string[] | null;
  env?: { name: string; value: string }[] | null;
  installHint?: string;
}

interface ExecCredential {
  kind?: string;
  status?: { token?: string; clientCertificateData?: string; expirationTimestamp?: string };
}

/**
 * Runs the program as kubectl does, without a terminal. Its token is kept until it ends or is refused.
 * @param directory the kubeconfig's, for a command with a relative path
 */
export function tokenFromProgram(
  program: CredentialProgram,
  directory: string,
  now: () => number = Date.now,
): TokenSource {
  let known: { token: string; endsAt: number } | undefined;
  let running: Promise<string> | undefined;
  const ask = async (): Promise<string> => {
    const { status } = await runProgram(program, directory);
    if (status?.token === undefined) {
      const what =
        status?.clientCertificateData === undefined
          ? "no credential"
          : "a client certificate, of which Berth takes only those that stand in the kubeconfig";
      throw new Error(`${program.command}, which the kubeconfig names for signing in, gave ${what}`);
    }
    const endsAt = status.expirationTimestamp === undefined ? Infinity : Date.parse(status.expirationTimestamp);
    known = { token: status.token, endsAt };
    return status.token;
  };
  return (isRefused) => {
    if (known !== undefined && !isRefused && now() < known.endsAt - marginMs) return Promise.resolve(known.token);
    running ??= ask().finally(() => (running = undefined));
    return running;
  };
}

function runProgram(program: CredentialProgram, directory: string): Promise<ExecCredential> {
  const { apiVersion = "client.authentication.k8s.io/v1", command = "", args, env, installHint } = program;
  const path = command.includes("/") && !isAbsolute(command) ? resolve(directory, command) : command;
  const info = { apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const own = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const { promise, resolve: done, reject } = Promise.withResolvers<ExecCredential>();
  execFile(
    path,
    args ?? [],
    {
      timeout: programTimeoutMs,
      maxBuffer: 1 << 20,
      env: { ...process.env, ...own, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    },
    (error, stdout, stderr) => {
      if (error !== null) {
        const hint = error.code === "ENOENT" && installHint !== undefined ? `; ${installHint.trim()}` : "";
        const why = error.code === "ENOENT" ? "was not found" : `failed: ${stderr.trim() || error.message}`;
        reject(new Error(`${path}, which the kubeconfig names for signing in, ${why}${hint}`));
        return;
      }
      try {
        done(JSON.parse(stdout) as ExecCredential);
      } catch {
        reject(new Error(`${path}, which the kubeconfig names for signing in, gave no JSON`));
      }
    },
  );
  return promise;
}
