/** A real PostgreSQL as an ordinary child process: a folder of its own, loopback only, on a free port. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { freePort } from "./ports.ts";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const password = "correct horse/@:";

/** Where Debian and others keep the programs that are not for everybody's PATH. */
function programs(): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...globSync("/usr/lib/postgresql/*/bin").sort()];
  return folders.findLast((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")));
}

/** The server refuses to run as root. */
function runner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((each) => each.startsWith("nobody:"))!;
  const fields = line.split(":");
  return { uid: Number(fields[2]), gid: Number(fields[3]) };
}

/** Why there is none here; undefined: there can be. */
export function postgresMissing(): string | undefined {
  return programs() === undefined ? "PostgreSQL's server is not installed (Debian: postgresql)" : undefined;
}

export interface PostgresCertificate {
  key: string;
  certificate: string;
}

export class PostgresServer {
  readonly folder: string;
  readonly #port: number;
  readonly #bin: string;
  #process: ChildProcess | undefined;
  #said = "";

  private constructor(folder: string, port: number, bin: string) {
    this.folder = folder;
    this.#port = port;
    this.#bin = bin;
  }

  /** A new one that runs, with user `berth`. With a certificate it takes nobody without TLS. */
  static async start(certificate?: PostgresCertificate): Promise<PostgresServer> {
    const server = new PostgresServer(mkdtempSync(join(tmpdir(), "berth-postgres-")), await freePort(), programs()!);
    try {
      server.#prepare(certificate);
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  /** URL of a database. */
  url(database: string, words = ""): string {
    return `postgres://berth:${encodeURIComponent(password)}@127.0.0.1:${this.#port}/${database}${words}`;
  }

  /** As the URL, with the password in a file. */
  urlWithFile(database: string, words = ""): string {
    return `postgres://berth@127.0.0.1:${this.#port}/${database}?passwordfile=${join(this.folder, "password")}${words}`;
  }

  #prepare(certificate: PostgresCertificate | undefined): void {
    const own = runner();
    writeFileSync(join(this.folder, "password"), `${password}\n`, { mode: 0o600 });
    const give = (path: string): void => {
      if (own !== undefined) chownSync(path, own.uid, own.gid);
    };
    give(this.folder);
    give(join(this.folder, "password"));
    const words = ["-D", join(this.folder, "data"), "-U", "berth", "-A", "scram-sha-256", "--no-sync", "--no-locale"];
    const made = spawnSync(join(this.#bin, "initdb"), [...words, "-E", "UTF8", `--pwfile=${this.folder}/password`], {
      ...own,
      cwd: this.folder,
      encoding: "utf8",
    });
    if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? ""}${made.stdout}${made.stderr}`);
    if (certificate === undefined) return;
    for (const [name, text] of [
      ["server.key", certificate.key],
      ["server.crt", certificate.certificate],
    ] as const) {
      const path = join(this.folder, "data", name);
      writeFileSync(path, text);
      chmodSync(path, 0o600);
      give(path);
    }
    const hba = join(this.folder, "data", "pg_hba.conf");
    writeFileSync(hba, "hostssl all all 127.0.0.1/32 scram-sha-256\n");
  }

  /** After `stop`: goes on with what it had. */
  async start(): Promise<void> {
    const hasTls = existsSync(join(this.folder, "data", "server.key"));
    const settings = {
      listen_addresses: "127.0.0.1",
      port: String(this.#port),
      unix_socket_directories: "",
      shared_buffers: "16MB",
      max_connections: "40",
      ssl: hasTls ? "on" : "off",
      // Processes die here, machines do not.
      fsync: "off",
    };
    const child = spawn(
      join(this.#bin, "postgres"),
      [
        "-D",
        join(this.folder, "data"),
        ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      ],
      { ...runner(), cwd: this.folder, stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#process = child;
    this.#said = "";
    child.stderr!.on("data", (bytes: Buffer) => (this.#said += bytes.toString()));
    while (!this.#said.includes("ready to accept connections")) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`postgres ended: ${this.#said}`);
      await sleep(20);
    }
  }

  /** `immediate` is as if it had been killed: connections break, nothing is written that was not. */
  async stop(how: "immediate" | "fast" = "immediate"): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(how === "immediate" ? "SIGQUIT" : "SIGINT");
    await ended;
  }

  /** Runs one statement by itself; the answer as psql prints it without ornaments. */
  sql(database: string, statement: string): string {
    const done = spawnSync(
      join(this.#bin, "psql"),
      ["-h", "127.0.0.1", "-p", String(this.#port), "-U", "berth", "-d", database, "-AtX", "-c", statement],
      { encoding: "utf8", env: { ...process.env, PGPASSWORD: password } },
    );
    if (done.status !== 0) throw new Error(`${statement}: ${done.stderr}`);
    return done.stdout.trim();
  }

  /** Makes an empty database; to its URL. */
  database(name: string): string {
    this.sql("postgres", `CREATE DATABASE ${name}`);
    return this.url(name);
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
