/** Real Slurm of Debian on this machine, with its database: one node, loopback only, everything in a folder that goes with it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { freePort } from "../support/ports.ts";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const programs = [
  "munged",
  "mariadbd",
  "mariadb-install-db",
  "slurmdbd",
  "slurmctld",
  "slurmd",
  "sacctmgr",
  "sshare",
  "sbatch",
];

/** Why the suite cannot run here; undefined: it can. */
export function missing(): string | undefined {
  const absent = programs.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  if (absent.length > 0)
    return `not installed: ${absent.join(", ")} (Debian: slurmctld slurmd slurmdbd mariadb-server munge)`;
  return process.getuid?.() === 0 ? undefined : "Slurm's daemons need root";
}

export interface User {
  name: string;
  uid: number;
  gid: number;
}

/** A user of this machine, by name. */
export function systemUser(name: string): User {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`no user ${name} on this machine`);
  const fields = line.split(":");
  return { name, uid: Number(fields[2]), gid: Number(fields[3]) };
}

export interface LabNode {
  name: string;
  cpus: number;
  memoryMebibytes: number;
  features?: readonly string[];
}

/** One node, larger than any machine that runs the tests. */
const largeNode: LabNode = { name: "n1", cpus: 64, memoryMebibytes: 1000 };

export class SlurmLab {
  readonly folder = mkdtempSync(join(tmpdir(), "berth-slurm-"));
  readonly #children = new Map<string, ChildProcess>();
  #ports: { database: number; dbd: number; controller: number; nodes: number[] } | undefined;
  readonly #extra: string;
  readonly #nodes: readonly LabNode[];
  readonly #cluster: string;

  /** @param extra lines for slurm.conf, with a partition `all` at least where no other is to be waited for */
  constructor(extra: string, options: { nodes?: readonly LabNode[]; cluster?: string } = {}) {
    this.#extra = extra;
    this.#nodes = options.nodes ?? [largeNode];
    this.#cluster = options.cluster ?? "lab";
  }

  /** That of commands which are to speak to this Slurm. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, SLURM_CONF: join(this.folder, "slurm.conf") };
  }

  #spawn(name: string, command: string, words: string[], user?: User): void {
    const child = spawn(command, words, {
      env: this.environment,
      stdio: "ignore",
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
    this.#children.set(name, child);
  }

  async #until(what: string, isSo: () => boolean, seconds = 60): Promise<void> {
    for (let tries = 0; tries < seconds * 10; tries += 1) {
      if (isSo()) return;
      await sleep(100);
    }
    throw new Error(`${what} did not happen within ${seconds} s; logs are in ${this.folder}`);
  }

  async start(): Promise<void> {
    const { folder } = this;
    chmodSync(folder, 0o755);
    const [munge, mysql, slurm] = ["munge", "mysql", "slurm"].map(systemUser) as [User, User, User];
    const own = (name: string, user: User | undefined, mode: number): string => {
      const path = join(folder, name);
      mkdirSync(path);
      if (user !== undefined) chownSync(path, user.uid, user.gid);
      chmodSync(path, mode);
      return path;
    };
    own("munge", munge, 0o755);
    own("mysql", mysql, 0o755);
    own("state", slurm, 0o755);
    own("spool", undefined, 0o755);
    own("log", undefined, 0o1777);
    this.#ports = {
      database: await freePort(),
      dbd: await freePort(),
      controller: await freePort(),
      nodes: await Promise.all(this.#nodes.map(() => freePort())),
    };
    const key = join(folder, "munge", "key");
    writeFileSync(key, Buffer.from(Array.from({ length: 1024 }, () => Math.floor(Math.random() * 256))));
    chownSync(key, munge.uid, munge.gid);
    chmodSync(key, 0o600);
    const socket = join(folder, "munge", "socket");
    this.#spawn(
      "munged",
      "munged",
      [
        "--foreground",
        "--force",
        `--socket=${socket}`,
        `--key-file=${key}`,
        `--pid-file=${folder}/munge/pid`,
        `--log-file=${folder}/munge/log`,
        `--seed-file=${folder}/munge/seed`,
      ],
      munge,
    );
    await this.#until("munged", () => existsSync(socket));
    this.#configure(socket, slurm);
    await this.#startDatabase(mysql);
    this.#spawn("slurmdbd", "/usr/sbin/slurmdbd", ["-D"], slurm);
    await this.#until("slurmdbd", () => this.#try("sacctmgr", ["-n", "show", "cluster"]));
    this.run("sacctmgr", ["-iQ", "add", "cluster", this.#cluster]);
    this.#startController();
    await this.#until("slurmctld", () => this.#try("scontrol", ["ping"]));
    // The path of the file must be said: their steps are begun in another folder.
    for (const { name } of this.#nodes)
      this.#spawn(name, "/usr/sbin/slurmd", ["-D", "-N", name, "-f", join(folder, "slurm.conf")]);
    await this.#until("slurmd", () => {
      const states = this.run("sinfo", ["-h", "-N", "-n", this.#nodes.map(({ name }) => name).join(","), "-o", "%t"]);
      return states
        .trim()
        .split(/\s+/)
        .every((state) => state === "idle");
    });
  }

  async #startDatabase(mysql: User): Promise<void> {
    const { folder } = this;
    const data = join(folder, "mysql", "data");
    const install = [
      "--no-defaults",
      "--user=mysql",
      `--datadir=${data}`,
      "--skip-test-db",
      "--auth-root-authentication-method=normal",
    ];
    this.run("mariadb-install-db", install);
    const socket = join(folder, "mysql", "socket");
    this.#spawn(
      "mariadbd",
      "mariadbd",
      [
        "--no-defaults",
        `--datadir=${data}`,
        `--socket=${socket}`,
        `--port=${this.#ports!.database}`,
        "--bind-address=127.0.0.1",
        `--pid-file=${folder}/mysql/pid`,
        "--innodb-buffer-pool-size=64M",
        "--innodb-lock-wait-timeout=900",
      ],
      mysql,
    );
    const sql =
      "create database slurm; create user 'slurm'@'127.0.0.1' identified by 'slurm'; create user 'slurm'@'localhost' identified by 'slurm'; grant all on slurm.* to 'slurm'@'127.0.0.1'; grant all on slurm.* to 'slurm'@'localhost';";
    await this.#until("mariadbd", () => this.#try("mariadb-admin", ["-S", socket, "-uroot", "ping"]));
    this.run("mariadb", ["-S", socket, "-uroot", "-e", sql]);
  }

  #configure(socket: string, slurm: User): void {
    const { folder } = this;
    const { database, dbd, controller, nodes } = this.#ports!;
    const dbdConf = join(folder, "slurmdbd.conf");
    writeFileSync(
      dbdConf,
      `AuthType=auth/munge
AuthInfo=socket=${socket}
CommunicationParameters=NoInAddrAny
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=${dbd}
SlurmUser=slurm
LogFile=${folder}/log/slurmdbd.log
PidFile=${folder}/state/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=${database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
`,
    );
    chownSync(dbdConf, slurm.uid, slurm.gid);
    chmodSync(dbdConf, 0o600);
    writeFileSync(join(folder, "cgroup.conf"), "CgroupPlugin=autodetect\nConstrainCores=no\nConstrainRAMSpace=no\n");
    writeFileSync(
      join(folder, "slurm.conf"),
      `ClusterName=${this.#cluster}
SlurmctldHost=${hostname().split(".")[0]}(127.0.0.1)
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket=${socket}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=${controller}
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool/%n
SlurmctldPidFile=${folder}/state/slurmctld.pid
SlurmdPidFile=${folder}/slurmd-%n.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmdLogFile=${folder}/log/slurmd-%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
${this.#extra.includes("SelectTypeParameters=") ? "" : "SelectTypeParameters=CR_Core\n"}SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1000,sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=${dbd}
AccountingStoragePass=${socket}
AccountingStorageEnforce=associations,limits,qos
PriorityType=priority/multifactor
PriorityCalcPeriod=1
${this.#nodes
  .map(
    ({ name, cpus, memoryMebibytes, features = [] }, index) =>
      `NodeName=${name} NodeHostname=${hostname().split(".")[0]} NodeAddr=127.0.0.1 Port=${nodes[index]} CPUs=${cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket=${cpus} ThreadsPerCore=1 RealMemory=${memoryMebibytes}${features.length === 0 ? "" : ` Feature=${features.join(",")}`}`,
  )
  .join("\n")}
${this.#extra}
`,
    );
  }

  #startController(): void {
    this.#spawn("slurmctld", "/usr/sbin/slurmctld", ["-D"], systemUser("slurm"));
  }

  /**
   * Lets usage decay and members be ranked, which the controller does by itself once a minute, and when it begins; returns the time,
   * in seconds since 1970.
   */
  async decay(): Promise<number> {
    const before = this.lastDecay();
    await this.#stop("slurmctld");
    this.#startController();
    await this.#until("slurmctld", () => this.#try("scontrol", ["ping"]));
    await this.#until("decay of usage", () => this.lastDecay() > before);
    // The ranks are set a moment after the time is written.
    await sleep(1000);
    return this.lastDecay();
  }

  /** Seconds since 1970 at which usage was decayed last. */
  lastDecay(): number {
    const path = join(this.folder, "state", "priority_last_decay_ran");
    return existsSync(path) ? Number(readFileSync(path).readBigUInt64BE(0)) : 0;
  }

  #try(command: string, words: string[]): boolean {
    return spawnSync(command, words, { env: this.environment, stdio: "ignore" }).status === 0;
  }

  /** Runs a command to its end and returns what it prints. */
  run(command: string, words: string[], user?: User): string {
    const { status, stdout, stderr } = spawnSync(command, words, {
      env: this.environment,
      encoding: "utf8",
      cwd: "/tmp",
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
    if (status !== 0) throw new Error(`${command} ${words.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Waits until the controller has been told of changes in the database. */
  async ready(): Promise<void> {
    await sleep(2000);
  }

  /** @param time seconds since 1970 */
  async waitUntil(time: number): Promise<void> {
    await sleep(Math.max(0, time * 1000 - Date.now()));
  }

  /** Waits until no job is left. */
  async idle(): Promise<void> {
    await this.#until("the end of all jobs", () => this.run("squeue", ["-h", "-t", "PD,R,CG"]).trim() === "", 120);
  }

  async #stop(name: string): Promise<void> {
    const child = this.#children.get(name);
    this.#children.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await gone;
    clearTimeout(killer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#nodes.map((node) => node.name), "slurmctld", "slurmdbd", "mariadbd", "munged"])
      await this.#stop(name);
    if (process.env["BERTH_KEEP"] === undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}
