/** Starts, kills and starts again a real API server on one folder and one port. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = join(import.meta.dirname, "api-server.ts");

export class ApiServerProcess implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "berth-api-"));
  readonly kubeconfig = join(this.folder, "admin.kubeconfig");
  private child: ChildProcess | undefined;
  private port = 0;

  /** Starts the server, at the port that it had before, and waits until it serves. */
  async start(): Promise<void> {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", program, this.folder, String(this.port)],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (chunk: Buffer) => {
        if (chunk.toString().includes("ready")) resolve();
      });
      child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const { clusters } = JSON.parse(readFileSync(this.kubeconfig, "utf8")) as {
      clusters: { cluster: { server: string } }[];
    };
    this.port = Number(new URL(clusters[0]!.cluster.server).port);
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
