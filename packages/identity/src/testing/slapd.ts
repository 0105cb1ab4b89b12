/** A real OpenLDAP server of its own on 127.0.0.1, for tests. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const program = ["/usr/sbin/slapd", "/usr/libexec/slapd", "/usr/local/libexec/slapd"].find(existsSync);
const modules = ["/usr/lib/ldap", "/usr/libexec/openldap", "/usr/lib64/openldap"].find(existsSync);

/** Why no server can be started here, or false. */
export const withoutSlapd = (): string | false =>
  program === undefined || modules === undefined || !existsSync("/etc/ldap/schema/nis.schema")
    ? "slapd is not installed (Debian: apt-get install slapd)"
    : spawnSync("ldapmodify", ["-VV"]).error === undefined && spawnSync("openssl", ["version"]).error === undefined
      ? false
      : "ldapmodify or openssl is not installed (Debian: apt-get install ldap-utils openssl)";

const suffix = "dc=example,dc=org";
const password = "administrator's";

/** Of RFC 2307bis: a posixGroup is also a group of names. Debian ships the schema of RFC 2307 only. */
const bisSchema = `
attributetype ( 1.3.6.1.1.1.1.2 NAME 'gecos' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.1.1.1.3 NAME 'homeDirectory' EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
attributetype ( 1.3.6.1.1.1.1.4 NAME 'loginShell' EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
attributetype ( 1.3.6.1.1.1.1.12 NAME 'memberUid' EQUALITY caseExactIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.1.1.2.0 NAME 'posixAccount' SUP top AUXILIARY MUST ( cn $ uid $ uidNumber $ gidNumber $ homeDirectory ) MAY ( userPassword $ loginShell $ gecos $ description ) )
objectclass ( 1.3.6.1.1.1.2.2 NAME 'posixGroup' SUP top AUXILIARY MUST ( gidNumber ) MAY ( userPassword $ memberUid $ description ) )
`;

export interface Slapd extends AsyncDisposable {
  readonly folder: string;
  readonly suffix: string;
  /** Takes StartTLS, and refuses whoever binds without. */
  readonly url: string;
  readonly secureUrl: string;
  /** PEM. */
  readonly caFile: string;
  readonly adminDn: string;
  readonly passwordFile: string;
  /** Adds, changes and removes entries, in LDIF, as the administrator. */
  change(ldif: string): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface SlapdOptions {
  /** `Rfc2307`: members by name. `Rfc2307bis`: by DN, and the server keeps memberOf. */
  schema?: "Rfc2307" | "Rfc2307bis";
  /** Lines of slapd.conf(5) that say who may read what; default: who has bound, all. */
  access?: string[];
}

/** Starts one with ou=people and ou=groups, both empty. */
export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  const folder = mkdtempSync(join(tmpdir(), "berth-slapd-"));
  const [port, securePort] = [await freePort(), await freePort()];
  const adminDn = `cn=admin,${suffix}`;
  const files = {
    conf: join(folder, "slapd.conf"),
    certificate: join(folder, "certificate.pem"),
    key: join(folder, "key.pem"),
    password: join(folder, "password"),
    schema: join(folder, "bis.schema"),
  };
  const isBis = options.schema === "Rfc2307bis";
  mkdirSync(join(folder, "data"));
  writeFileSync(files.schema, bisSchema);
  writeFileSync(files.password, `${password}\n`, { mode: 0o600 });
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  mustRun("openssl", ["req", "-x509", ...curve, ...subject, "-keyout", files.key, "-out", files.certificate]);
  const schemas = ["core", "cosine", ...(isBis ? [] : ["nis"])].map((name) => `/etc/ldap/schema/${name}.schema`);
  const lines = [
    ...schemas.map((path) => `include ${path}`),
    ...(isBis ? [`include ${files.schema}`] : []),
    `modulepath ${modules}`,
    "moduleload back_mdb",
    ...(isBis ? ["moduleload memberof"] : []),
    `TLSCertificateFile ${files.certificate}`,
    `TLSCertificateKeyFile ${files.key}`,
    "security simple_bind=128",
    // Whoever asks for more than three entries must ask for pages.
    "sizelimit size.soft=3 size.hard=3 size.prtotal=unlimited",
    ...(options.access ?? ["access to * by users read by anonymous auth"]),
    "database mdb",
    `suffix ${suffix}`,
    `rootdn ${adminDn}`,
    `rootpw ${JSON.stringify(password)}`,
    `directory ${join(folder, "data")}`,
    ...(isBis ? ["overlay memberof", "memberof-group-oc groupOfNames", "memberof-dangling ignore"] : []),
  ];
  writeFileSync(files.conf, `${lines.join("\n")}\n`, { mode: 0o600 });
  const secureUrl = `ldaps://127.0.0.1:${securePort}`;
  const url = `ldap://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  let said = "";
  const server: Slapd = {
    folder,
    suffix,
    url,
    secureUrl,
    caFile: files.certificate,
    adminDn,
    passwordFile: files.password,
    change(ldif) {
      const who = ["-x", "-H", secureUrl, "-D", adminDn, "-w", password];
      mustRun("ldapmodify", ["-a", ...who], {
        input: ldif,
        env: { ...process.env, LDAPTLS_CACERT: files.certificate },
      });
    },
    async start() {
      const started = spawn(program!, ["-d", "0", "-f", files.conf, "-h", `${url} ${secureUrl}`], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      child = started;
      started.stderr!.setEncoding("utf8").on("data", (text: string) => (said += text));
      while (!(await isOpen(securePort))) {
        if (started.exitCode !== null) throw new Error(`slapd ended: ${said}`);
        await pause(20);
      }
    },
    async stop() {
      const running = child;
      if (running === undefined || running.exitCode !== null) return;
      const ended = new Promise((resolve) => running.once("exit", resolve));
      running.kill("SIGKILL");
      await ended;
      child = undefined;
    },
    async [Symbol.asyncDispose]() {
      await this.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
    server.change(
      [
        `dn: ${suffix}\nobjectClass: domain\ndc: example`,
        ...["people", "groups"].map((ou) => `dn: ou=${ou},${suffix}\nobjectClass: organizationalUnit\nou: ${ou}`),
      ].join("\n\n"),
    );
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** LDIF of a person. */
export function personEntry(name: string, uid: number, gid: number, more = ""): string {
  return `dn: uid=${name},ou=people,${suffix}
objectClass: account
objectClass: posixAccount
cn: ${name}
uid: ${name}
uidNumber: ${uid}
gidNumber: ${gid}
homeDirectory: /home/${name}
loginShell: /bin/bash
${more}
`;
}

function mustRun(command: string, words: string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): void {
  const { status, stderr, error } = spawnSync(command, words, { encoding: "utf8", ...options });
  if (status !== 0) throw new Error(`${command} ${words[0]} …: ${error?.message ?? stderr}`);
}

async function isOpen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
