/** `berth up`: one supervisor keeps the processes of an embedded cluster alive. See docs/explanation/architecture.md. */
import { publicFolderOf, type PublicEndpoint } from "@berth/identity";
import { mkdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { lockDataFolder, prepareDataFolder, replaceFile } from "./data-folder.ts";
import { openJsonLog, type Log } from "./json-log.ts";
import { describeNodes, thisMachine, type Machine, type NodeDescription } from "./machine.ts";
import type { DriverChoice, Role, RoleSettings } from "./messages.ts";
import { SupervisedProcess, type ProcessState } from "./supervised-process.ts";

export interface SupervisorOptions {
  /** Absolute path. */
  data: string;
  /** The daemon's entry file, by which the processes are started. */
  program: string;
  version: string;
  /** Absent: the port of the last time if it is free, else any. */
  port?: number;
  nodes: number;
  simulatedNodes: readonly NodeDescription[];
  /** Absent: the cores of this machine are divided. */
  cpusPerNode?: number;
  driver?: DriverChoice;
  /** Absolute path of the file that names this user's running cluster. */
  currentFile: string;
  machine?: Machine;
}

/** Content of `endpoint.json`. */
export interface Endpoint {
  url: string;
  pid: number;
  version: string;
  data: string;
  startedAt: string;
  processes: ProcessState[];
  /** What the nodes cannot do on this machine, in sentences. */
  notes: string[];
}

const stopGraceMilliseconds = 10_000;

/** A cluster whose processes all run. */
export class Supervisor {
  readonly endpoint: Endpoint;
  readonly #options: SupervisorOptions;
  readonly #log: Log;
  /** In the order of their start. */
  readonly #processes: SupervisedProcess[] = [];
  readonly #unlock: () => Promise<void>;
  #writing: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  private constructor(options: SupervisorOptions, log: Log, unlock: () => Promise<void>) {
    this.#options = options;
    this.#log = log;
    this.#unlock = unlock;
    this.endpoint = {
      url: "",
      pid: process.pid,
      version: options.version,
      data: options.data,
      startedAt: new Date().toISOString(),
      processes: [],
      notes: [],
    };
  }

  /** Starts a cluster; throws a Refusal in words, with nothing left running, when it cannot. */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const machine = options.machine ?? thisMachine();
    const nodes = describeNodes(machine, options.nodes, options.simulatedNodes, options.cpusPerNode);
    await prepareDataFolder(options.data);
    const unlock = await lockDataFolder(options.data);
    const log = openJsonLog({ path: join(options.data, "logs", "supervisor.log"), process: "supervisor" });
    const supervisor = new Supervisor(options, log, unlock);
    try {
      await supervisor.#start({
        data: options.data,
        version: options.version,
        port: options.port ?? 0,
        nodes,
        ...(options.driver === undefined ? {} : { driver: options.driver }),
        ...(process.getuid?.() === 0 ? { loginDirectory: join(publicFolderOf(options.data), "login") } : {}),
      });
    } catch (error) {
      await supervisor.stop();
      throw error;
    }
    return supervisor;
  }

  async #start(settings: RoleSettings): Promise<void> {
    const { data, program } = this.#options;
    this.#log("info", "starting", { version: this.#options.version, nodes: settings.nodes.length });
    await rm(join(data, "endpoint.json"), { force: true });
    // The port of the last time, where it is free: kubeconfigs that were handed out stay good.
    if (settings.port === 0) settings.port = await this.#lastPort();
    const add = (role: Role): SupervisedProcess => {
      const added = new SupervisedProcess(
        program,
        role,
        () => settings,
        this.#log,
        () => this.#publish(),
      );
      this.#processes.push(added);
      return added;
    };
    // All load their programs at once; the parts begin when the API is there.
    const [apiserver, controllers, node] = [add("apiserver"), add("controllers"), add("node")];
    for (const each of this.#processes) each.launch();
    const ready = await apiserver.start();
    this.endpoint.url = ready.url ?? "";
    // From now on the same port, whatever dies: clients hold it.
    settings.port = Number(new URL(this.endpoint.url).port);
    const [, { notes }] = await Promise.all([controllers.start(), node.start()]);
    this.endpoint.notes = notes ?? [];
    await this.#announce(settings);
    this.#publish();
    await this.#writing;
    this.#log("info", "ready", { url: this.endpoint.url });
  }

  async #lastPort(): Promise<number> {
    try {
      const kubeconfig = await readFile(join(this.#options.data, "admin.kubeconfig"), "utf8");
      const port = Number(/"?server"?: "?https:\/\/[^\s"]*:(\d+)/.exec(kubeconfig)?.[1]);
      return port > 0 && (await isFree(port)) ? port : 0;
    } catch {
      return 0;
    }
  }

  /** Names this cluster where commands look for a running one. */
  async #announce(settings: RoleSettings): Promise<void> {
    const { data, currentFile } = this.#options;
    await mkdir(dirname(currentFile), { recursive: true, mode: 0o700 });
    await replaceFile(currentFile, `${JSON.stringify({ data })}\n`);
    if (settings.loginDirectory === undefined) return;
    const announcement: PublicEndpoint = {
      url: this.endpoint.url,
      certificateAuthority: await readFile(join(data, "pki", "ca.crt"), "utf8"),
      data,
    };
    await replaceFile(join(publicFolderOf(data), "endpoint.json"), `${JSON.stringify(announcement)}\n`, 0o644);
  }

  async #withdraw(): Promise<void> {
    const { data, currentFile } = this.#options;
    const current = await readFile(currentFile, "utf8").catch(() => "");
    if (current === `${JSON.stringify({ data })}\n`) await rm(currentFile, { force: true });
    if (process.getuid?.() === 0) await rm(publicFolderOf(data), { recursive: true, force: true });
    await rm(join(data, "endpoint.json"), { force: true });
  }

  /** Writes endpoint.json once the cluster is ready, and after each change. */
  #publish(): void {
    this.endpoint.processes = this.#processes.map(({ state }) => state);
    if (this.endpoint.url === "" || this.#stopped !== undefined) return;
    const content = `${JSON.stringify(this.endpoint)}\n`;
    this.#writing = this.#writing
      .then(() => replaceFile(join(this.#options.data, "endpoint.json"), content))
      .catch((error: unknown) => this.#log("error", `endpoint.json cannot be written: ${String(error)}`));
  }

  /** Ends all processes, the API server last; running jobs go on. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#log("info", "stopping");
    await this.#writing;
    const [apiserver, ...others] = this.#processes;
    await Promise.all(others.map((other) => other.stop(stopGraceMilliseconds)));
    await apiserver?.stop(stopGraceMilliseconds);
    await this.#withdraw();
    this.#log("info", "stopped");
    await this.#unlock();
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = createServer();
  probe.once("error", () => resolve(false));
  probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  return promise;
}
