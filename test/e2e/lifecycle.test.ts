/** Starting and stopping a cluster, and what is refused in words. */
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nodeProcesses, repository, run, startCluster } from "../support/berth.ts";
import { small, waitForState, sbatch, ended } from "../support/jobs.ts";
import { waitFor, waitForFile } from "../support/waiting.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-lifecycle-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const environment = {
  BERTH_CONTEXT: "",
  XDG_STATE_HOME: join(directory, "state"),
  XDG_DATA_HOME: join(directory, "share"),
};
const berth = (...words: string[]) => run(join(repository, "berth"), words, { cwd: directory, env: environment });

test("up, status, kubeconfig, down; the data folder is the owner's alone", { timeout: 900_000 }, async () => {
  const data = join(directory, "one");
  const up = await berth("up", "--data", data, "--detach");
  assert.equal(up.code, 0, up.stderr);
  assert.match(up.stdout, /Berth is ready at https:\/\/127\.0\.0\.1:\d+ .*stop it with: berth down --data/);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  assert.equal(readFileSync(join(data, "format"), "utf8"), "1\n");

  // The running cluster is found without being named.
  const status = await waitFor("all to be well", async () => {
    const outcome = await berth("status");
    return outcome.code === 0 ? outcome : undefined;
  });
  assert.match(status.stdout, /all is well/);
  assert.match(status.stdout, /process apiserver: runs \(pid \d+\)/);
  assert.match(status.stdout, /1 node, driver (sandbox|process): ready/);
  const report = JSON.parse((await berth("status", "-o", "json")).stdout) as {
    healthy: boolean;
    queues: { queue: string }[];
  };
  assert.equal(report.healthy, true);
  assert.deepEqual(
    report.queues.map(({ queue }) => queue),
    ["standard"],
  );
  const { url } = JSON.parse(readFileSync(join(data, "endpoint.json"), "utf8")) as { url: string };
  assert.ok((await berth("kubeconfig", "--data", data)).stdout.includes(url));

  const again = await berth("up", "--data", data, "--detach");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /already runs on the data folder .* \(process \d+\); stop it with: berth down/);

  const down = await berth("down", "--data", data);
  assert.equal(down.code, 0, down.stderr);
  assert.equal(down.stdout, "stopped; no job was running\n");
  assert.equal(existsSync(join(data, "endpoint.json")), false);
  assert.equal(existsSync(join(data, "supervisor.json")), false);
  assert.match((await berth("status")).stderr, /no cluster is running; start one on this machine with: berth up/);
  assert.match((await berth("down", "--data", data)).stdout, /no cluster is running on the data folder/);

  // The address stays, for those to whom it was given.
  assert.equal((await berth("up", "--data", data, "--detach")).code, 0);
  assert.ok((await berth("kubeconfig", "--data", data)).stdout.includes(url));
  assert.equal((await berth("down", "--data", data)).code, 0);
});

test(
  "a folder of something else, a newer and a damaged one, a taken port and too many nodes are refused in words",
  { timeout: 900_000 },
  async () => {
    const refused = async (words: string[], expected: RegExp): Promise<void> => {
      const outcome = await berth("up", "--detach", ...words);
      assert.equal(outcome.code, 1, `${words.join(" ")}: ${outcome.stdout}`);
      assert.match(outcome.stderr, expected);
      assert.doesNotMatch(outcome.stderr, /\n\s+at /, "no stack trace");
    };
    const folder = (name: string, files: Record<string, string>): string => {
      const path = join(directory, name);
      mkdirSync(path);
      for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
      return path;
    };
    await refused(["--data", folder("thesis", { "thesis.tex": "" })], /is not a data folder of Berth.*thesis\.tex/);
    await refused(["--data", folder("newer", { format: "999\n" })], /format 999, made by a newer Berth/);
    await refused(["--data", folder("damaged", { format: "?" })], /damaged: .*format should hold a number/);
    const broken = folder("broken", { format: "1\n" });
    mkdirSync(join(broken, "api"));
    writeFileSync(join(broken, "api", "store.db"), "this is not a database, however long one looks at it".repeat(100));
    await refused(["--data", broken], /store\.db/);
    await refused(["--data", join(directory, "x"), "--nodes", "100000"], /--nodes 100000/);
    await refused(["--data", join(directory, "x"), "--port", "port"], /--port port: this must be a whole number/);

    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    try {
      await refused(["--data", join(directory, "taken"), "--port", String(port)], new RegExp(`port ${port} .*--port`));
    } finally {
      other.close();
    }
  },
);

test("a damaged data folder is refused in words, and nothing in it is changed", { timeout: 900_000 }, async () => {
  const whole = join(directory, "whole");
  assert.equal((await berth("up", "--data", whole, "--detach")).code, 0);
  assert.equal((await berth("down", "--data", whole)).code, 0);
  const damaged = join(directory, "damaged-whole");
  const damages: [file: string, damage: (path: string) => void, words: RegExp][] = [
    ["api/store.db", (path) => truncateSync(path, 5000), /store\.db is damaged .*restore it from a backup/],
    ["api/store.db", (path) => writeFileSync(path, ""), /store\.db is missing or empty, and this data folder had one/],
    ["api/store.db", (path) => rmSync(path), /store\.db is missing or empty, and this data folder had one/],
    ["pki/ca.key", (path) => rmSync(path), /ca\.key is missing, and .*ca\.crt is there: restore both/],
    ["pki/ca.crt", (path) => writeFileSync(path, "x"), /ca\.crt or its key .* is damaged/],
    ["pki/service-account.key", (path) => writeFileSync(path, ""), /service-account\.key is not a signing key/],
    ["tokens.json", (path) => writeFileSync(path, "{"), /tokens\.json is not JSON/],
    ["accounting.db", (path) => writeFileSync(path, "no database ".repeat(500)), /accounting\.db is damaged/],
    ["format", (path) => rmSync(path), /is not a data folder of Berth: it has no file "format"/],
    ["format", (path) => writeFileSync(path, ""), /is damaged: .*format should hold a number/],
  ];
  for (const [file, damage, words] of damages) {
    cpSync(whole, damaged, { recursive: true });
    damage(join(damaged, file));
    const before = existsSync(join(damaged, file)) ? readFileSync(join(damaged, file)) : undefined;
    const outcome = await berth("up", "--data", damaged, "--detach");
    assert.equal(outcome.code, 1, `${file}: ${outcome.stdout}`);
    assert.match(outcome.stderr, words);
    assert.doesNotMatch(outcome.stderr, /\n\s+at /, "no stack trace");
    const after = existsSync(join(damaged, file)) ? readFileSync(join(damaged, file)) : undefined;
    assert.deepEqual(after, before, `${file} is left as it was`);
    rmSync(damaged, { recursive: true });
  }
});

test("a killed process comes back, and jobs that run outlive a stop", { timeout: 900_000 }, async () => {
  await using cluster = await startCluster();
  const begun = join(cluster.directory, "begun");
  const finish = join(cluster.directory, "finish");
  const id = await sbatch(cluster, [
    ...small,
    "-o",
    "out",
    "--wrap",
    `touch ${begun}; while [ ! -e ${finish} ]; do sleep 0.1; done; echo done`,
  ]);
  await waitForFile(begun);
  await waitForState(cluster, id, "RUNNING");

  const [, ...children] = nodeProcesses(cluster.data);
  for (const child of children) process.kill(child, "SIGKILL");
  const endpoint = join(cluster.data, "endpoint.json");
  await waitFor("the processes to be back", () => {
    const { processes } = JSON.parse(readFileSync(endpoint, "utf8")) as {
      processes: { ready: boolean; restarts: number }[];
    };
    return processes.length === 3 && processes.every(({ ready, restarts }) => ready && restarts === 1)
      ? true
      : undefined;
  });
  await waitForState(cluster, id, "RUNNING");

  const down = await cluster.berth(["down", "--data", cluster.data]);
  assert.equal(down.stdout, "stopped; 1 running job goes on and is taken back at the next start\n");
  writeFileSync(finish, "");
  await waitFor("the job's last word", () => {
    const path = join(cluster.directory, "out");
    return existsSync(path) && readFileSync(path, "utf8") === "done\n" ? true : undefined;
  });
  await cluster.up();
  const [row] = await ended(cluster, [id], ["State", "ExitCode"]);
  assert.deepEqual(row, { State: "COMPLETED", ExitCode: "0:0" });
});
