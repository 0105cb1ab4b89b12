/** Berth on a real cluster: installed by its own command, its controllers as a process with the rights that the installation gives. */
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type AnyObject, type Client, resources } from "@berth/client";
import type { Queue } from "@berth/kinds";
import { queues, questionsApiService, systemNamespace } from "@berth/kinds";
import { repository, run, type Outcome } from "../support/berth.ts";
import { waitFor } from "../support/waiting.ts";
import type { ControlPlane } from "./control-plane.ts";

export const apiServices = {
  group: "apiregistration.k8s.io",
  version: "v1",
  resource: "apiservices",
  namespaced: false,
};

/** Who submits: root's jobs are no measure of what others may. */
export const person = { name: "nobody", uid: 65_534, gid: 65_534 };

/** One process of controllers; several may be started. */
export interface Controllers {
  readonly pid: number;
  /** Its log, one JSON object a line. */
  readonly lines: { level: string; message: string }[];
  /** Where it serves /healthz, /readyz and /metrics. */
  readonly health: string;
  readonly isLeading: () => boolean;
  /** Ends it, by SIGTERM in order, and resolves with its exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface BerthOnKube extends AsyncDisposable {
  /** A folder of the person, which the nodes of this machine see under the same name. */
  readonly home: string;
  /** The database that all controllers write to. */
  readonly accounting: string;
  readonly first: Controllers;
  startControllers(): Promise<Controllers>;
  /** Runs `berth WORDS…`, `sbatch …` as the person, in their folder. */
  berth(words: string[], options?: { timeoutSeconds?: number }): Promise<Outcome>;
}

export interface BerthOptions {
  /** What stands for image `host`; default that of the nodes' images. */
  image?: string;
  controllers?: string[];
  /** Of `berth install`. */
  install?: string[];
  environment?: Record<string, string>;
}

/** Berth's objects on a cluster, and a person who may use them; nothing controls yet. */
export interface Installed extends Disposable {
  /** A folder of the person, which the nodes of this machine see under the same name. */
  readonly home: string;
  /** Around it, the administrator's. */
  readonly folder: string;
  /** Files that know the person. */
  readonly passwd: string;
  readonly group: string;
  /** Runs `berth WORDS…`, `sbatch …` as the person, in their folder. */
  berth: BerthOnKube["berth"];
  /** Runs `berth WORDS…` as the administrator. */
  administer(words: string[]): Promise<Outcome>;
}

/** Installs Berth, and sets up the queue `standard` for the person's folder. */
export async function installBerth(
  plane: ControlPlane,
  options: { image?: string; words?: string[] } = {},
): Promise<Installed> {
  const { image = "localhost/busybox:1", words: more = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), "berth-on-kube-"));
  chmodSync(folder, 0o755);
  const home = join(folder, "home");
  mkdirSync(home);
  chownSync(home, person.uid, person.gid);
  const passwd = join(folder, "passwd");
  const group = join(folder, "group");
  writeFileSync(passwd, `${person.name}:x:${person.uid}:${person.gid}::${home}:/bin/sh\n`);
  writeFileSync(group, `nogroup:x:${person.gid}:\n`);
  // The person submits as the administrator would let them: who may what is for other tests.
  const kubeconfig = join(folder, "kubeconfig");
  copyFileSync(plane.kubeconfig, kubeconfig);
  chownSync(kubeconfig, person.uid, person.gid);
  const state = join(home, "state");
  const administer: Installed["administer"] = (words) =>
    run(join(repository, "berth"), words, {
      env: { BERTH_CONTEXT: plane.kubeconfig, XDG_STATE_HOME: join(folder, "state") },
      timeoutSeconds: 120,
    });
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    const installed = await administer(["install", "--passwd", passwd, "--group", group, ...more]);
    if (installed.code !== 0) throw new Error(`berth install: ${installed.stdout}${installed.stderr}`);
    const podDefaults = {
      spec: {
        containers: [{ name: "main", image, volumeMounts: [{ name: "home", mountPath: home }] }],
        volumes: [{ name: "home", hostPath: { path: home } }],
      },
    };
    await plane.client.patch<Queue>(queues, "standard", { spec: { podDefaults } });
  } catch (error) {
    remove();
    throw error;
  }
  return {
    home,
    folder,
    passwd,
    group,
    administer,
    berth: (words, rest = {}) =>
      run(join(repository, "berth"), words, {
        cwd: home,
        env: { BERTH_CONTEXT: kubeconfig, XDG_STATE_HOME: state, HOME: home, USER: person.name },
        as: { uid: person.uid, gid: person.gid },
        timeoutSeconds: 120,
        ...rest,
      }),
    [Symbol.dispose]: remove,
  };
}

/** {@link installBerth}, and starts the controllers as a process and waits until they lead. */
export async function startBerth(plane: ControlPlane, options: BerthOptions = {}): Promise<BerthOnKube> {
  const installed = await installBerth(plane, {
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(options.install === undefined ? {} : { words: options.install }),
  });
  const { home, passwd, group } = installed;
  const accounting = join(installed.folder, "accounting.db");
  const running: Controllers[] = [];
  const startControllers = async (): Promise<Controllers> => {
    const account = await plane.kubeconfigForServiceAccount(systemNamespace, "berth-controllers");
    const started = await startProcess(
      [
        `--kubeconfig=${account}`,
        `--passwd=${passwd}`,
        `--group=${group}`,
        `--accounting=${accounting}`,
        "--listen=127.0.0.1:0",
        ...(options.controllers ?? []),
      ],
      options.environment,
    );
    running.push(started);
    return started;
  };
  try {
    // Nobody is to ask controllers that serve no questions; while its APIService does not answer no namespace can be deleted.
    if (options.controllers?.some((word) => word.startsWith("--questions")) !== true)
      await plane.client.delete(apiServices, questionsApiService);
    const first = await startControllers();
    await waitFor("the controllers to lead", () => first.isLeading() || undefined, 60).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; they said: ${JSON.stringify(first.lines.slice(-4))}`);
    });
    return { home, accounting, first, startControllers, berth: installed.berth, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }

  async function dispose(): Promise<void> {
    await Promise.all(running.map((each) => each.end("SIGKILL")));
    installed[Symbol.dispose]();
  }
}

/** One process of controllers, once it is ready; its words are those of `berth controllers`. */
export async function startProcess(words: string[], environment: Record<string, string> = {}): Promise<Controllers> {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(repository, "packages", "daemon", "src", "main.ts"), "controller-manager", ...words],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...environment } },
  );
  const lines: { level: string; message: string; health?: string }[] = [];
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  createInterface({ input: child.stderr! }).on("line", (line) => {
    try {
      lines.push(JSON.parse(line) as (typeof lines)[number]);
    } catch {
      lines.push({ level: "error", message: line });
    }
  });
  const ready = await waitFor(
    "the controllers to begin",
    () => lines.find(({ message }) => message === "ready") ?? (child.exitCode === null ? undefined : lines.at(-1)),
    60,
  );
  if (child.exitCode !== null) throw new Error(`the controllers ended: ${ready.message}`);
  return {
    pid: child.pid!,
    lines,
    health: ready.health ?? "",
    isLeading: () => lines.findLast(({ message }) => /^lead(ing|s no more)$/.test(message))?.message === "leading",
    end: (signal = "SIGTERM") => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return ended;
    },
  };
}

/** A node that is ready for whatever is bound to it, and runs none of it. */
export async function createReadyNode(client: Client): Promise<void> {
  await client.create(resources.nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n1", labels: { "kubernetes.io/hostname": "n1" } },
    status: {
      allocatable: { cpu: "64", memory: "64Gi", pods: "100" },
      capacity: { cpu: "64", memory: "64Gi", pods: "100" },
      conditions: [{ type: "Ready", status: "True" }],
      features: { supplementalGroupsPolicy: true },
    },
  } as AnyObject);
  await client.patch(resources.nodes, "n1", { spec: { taints: null } });
}
