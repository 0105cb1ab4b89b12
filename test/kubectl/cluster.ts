/** A real API server and the real kubectl, for the tests of this folder. */
import { startApiServer, type ApiServer } from "@berth/apiserver";
import { customResourceDefinitions, defaultObjects } from "@berth/kinds";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why the tests of this folder cannot run, or false. */
export const withoutKubectl: string | false =
  spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0 ? false : "kubectl is not installed";

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export class Cluster {
  readonly folder: string;
  readonly server: ApiServer;

  private constructor(folder: string, server: ApiServer) {
    this.folder = folder;
    this.server = server;
  }

  static async start(folder: string = mkdtempSync(join(tmpdir(), "berth-kubectl-"))): Promise<Cluster> {
    const server = await startApiServer({
      dataDirectory: folder,
      bootstrapObjects: [...customResourceDefinitions, ...defaultObjects],
    });
    return new Cluster(folder, server);
  }

  async stop(): Promise<void> {
    await this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  spawn(...words: string[]): ReturnType<typeof spawn> {
    return spawn("kubectl", words, {
      env: {
        ...process.env,
        KUBECONFIG: this.server.adminKubeconfig,
        HOME: this.folder,
        KUBECTL_COMMAND_HEADERS: "false",
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  /** Runs kubectl to its end, with `input` on its standard input. */
  async run(words: string[], input = ""): Promise<Outcome> {
    const child = this.spawn(...words);
    let stdout = "";
    let stderr = "";
    child.stdout!.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr!.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin!.end(input);
    const code = await new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? -1)));
    return { code, stdout, stderr };
  }

  /** As `run`, for commands that must succeed; their standard output. */
  async ok(words: string, input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(words.split(" "), input);
    if (code !== 0) throw new Error(`kubectl ${words}: exit code ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** As `run`, for commands that must be refused; their standard error. */
  async refused(words: string, input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(words.split(" "), input);
    if (code === 0) throw new Error(`kubectl ${words} succeeded: ${stdout}`);
    return stderr;
  }
}
