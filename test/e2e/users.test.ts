/** A cluster that root started, and its users: each proves who they are, and is kept to what is theirs. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createClient, loadKubeconfig } from "@berth/client";
import { sites } from "@berth/kinds";
import { repository, run, startCluster, type Outcome, type TestCluster } from "../support/berth.ts";
import { ended, small, waitForState } from "../support/jobs.ts";
import { waitFor } from "../support/waiting.ts";

interface Person {
  name: string;
  uid: number;
  gid: number;
}

/** Users of this machine who are not root, the first two. */
function people(): Person[] {
  return readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid }) => (uid >= 1000 && uid < 60_000) || uid === 65_534)
    .slice(0, 2);
}

const [ada, bob] = people();

async function whyNot(): Promise<string | false> {
  if (process.getuid?.() !== 0) return "needs root, who starts a cluster for everybody";
  if (ada === undefined || bob === undefined) return "needs two users on this machine besides root";
  const { code } = await run("sh", ["-c", `exec "${join(repository, "berth")}" --help`], {
    as: { uid: ada.uid, gid: ada.gid },
    cwd: "/",
  });
  return code === 0 ? false : `needs a checkout that ${ada.name} can read and run`;
}

const skip = await whyNot();
let cluster: TestCluster;
before(async () => {
  if (skip !== false) return;
  cluster = await startCluster();
  chmodSync(cluster.directory, 0o755);
  for (const person of [ada!, bob!]) {
    mkdirSync(home(person));
    chownSync(home(person), person.uid, person.gid);
  }
});
after(() => cluster?.[Symbol.asyncDispose]());

function home({ name }: Person): string {
  return join(cluster.directory, name);
}

/** Runs a command of Berth as this person, in a home of their own. */
function as(person: Person, words: string[], options: { input?: string } = {}): Promise<Outcome> {
  const { uid, gid, name } = person;
  const env = {
    HOME: home(person),
    USER: name,
    LOGNAME: name,
    XDG_STATE_HOME: join(home(person), "state"),
    XDG_CACHE_HOME: join(home(person), "cache"),
  };
  return cluster.berth(words, { as: { uid, gid }, cwd: home(person), env, ...options });
}

async function setPrivacy(jobs: "Everybody" | "Owner"): Promise<void> {
  const { connection } = loadKubeconfig({ path: join(cluster.data, "admin.kubeconfig") });
  const client = createClient(connection);
  await client.patch(sites, "site", { spec: { privacy: { jobs } } });
  client.close();
}

test("a user's first act may be a question", { skip, timeout: 900_000 }, async () => {
  const asked = await as(ada!, ["sbatch", "--test-only", ...small, "--wrap", "true"]);
  assert.equal(asked.code, 0, asked.stderr);
  assert.match(asked.stderr, /^sbatch: Job \d+ to start at /);
});

test("jobs run and write as who submitted them", { skip, timeout: 900_000 }, async () => {
  const outcome = await as(ada!, [
    "sbatch",
    "--parsable",
    "--wait",
    ...small,
    "-o",
    "who.txt",
    "--wrap",
    "id -u; id -g; pwd",
  ]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const file = join(home(ada!), "who.txt");
  assert.equal(readFileSync(file, "utf8"), `${ada!.uid}\n${ada!.gid}\n${home(ada!)}\n`);
  assert.equal(statSync(file).uid, ada!.uid);
  const rows = await as(ada!, ["sacct", "-X", "-n", "-P", "-o", "User,State"]);
  assert.equal(rows.stdout, `${ada!.name}|COMPLETED\n`);
});

test(
  "everybody sees the queue, as in Slurm; nobody ends or reads what is another's",
  { skip, timeout: 900_000 },
  async () => {
    const words = [...small, "-J", "hers", "-o", "/dev/null", "--wrap", "sleep 100"];
    const submitted = await as(ada!, ["sbatch", "--parsable", ...words]);
    const id = Number(submitted.stdout);
    await waitForState(cluster, id, "RUNNING");
    const seen = await as(bob!, ["squeue", "-h", "-o", "%i %j %u %T %N %Z"]);
    assert.equal(seen.stdout, `${id} hers ${ada!.name} RUNNING node-1 (null)\n`);
    assert.equal((await as(bob!, ["squeue", "-h", "--me"])).stdout, "");
    assert.match((await as(ada!, ["squeue", "-h", "-o", "%Z"])).stdout, new RegExp(home(ada!)));
    assert.equal((await as(bob!, ["sacct", "-a", "-n", "-X"])).stdout, "");
    for (const words of [[String(id)], ["-u", ada!.name]]) {
      const denied = await as(bob!, ["scancel", ...words]);
      assert.equal(denied.code, 210);
      assert.equal(denied.stderr, `scancel: error: Kill job error on job id ${id}: Access/permission denied\n`);
    }
    const explained = await as(bob!, ["explain", String(id)]);
    assert.match(explained.stdout, new RegExp(`^Job ${id} \\(hers\\) of ${ada!.name}, runs in queue standard`));
    assert.match(explained.stdout, /It is another user's/);
    assert.match((await as(bob!, ["sinfo", "-h", "-o", "%T %C"])).stdout, /^(mixed|allocated) 1\//);
    assert.match((await as(bob!, ["status"])).stdout, /standard +Up +0 +1 /);

    await setPrivacy("Owner");
    await waitFor("the queue to be withheld", async () =>
      (await as(bob!, ["squeue", "-h"])).stdout === "" ? true : undefined,
    );
    assert.match((await as(bob!, ["explain", String(id)])).stderr, /there is no job/);
    assert.match((await as(ada!, ["squeue", "-h"])).stdout, /hers/);
    await setPrivacy("Everybody");
    assert.equal((await as(ada!, ["scancel", String(id)])).code, 0);
    await ended(cluster, [id], ["State"]);
  },
);

test("what an operator holds its owner cannot release", { skip, timeout: 900_000 }, async () => {
  const made = await as(ada!, ["sbatch", "--parsable", "-H", ...small, "-o", "/dev/null", "--wrap", "true"]);
  const id = made.stdout.trim();
  await waitForState(cluster, Number(id), "PENDING");
  const held = await cluster.berth(["hold", id]);
  assert.equal(held.stdout, `job ${id} is held\n`, held.stderr);
  const refused = await as(ada!, ["release", id]);
  assert.deepEqual(
    [refused.code, refused.stderr],
    [1, `berth: job ${id}: an operator holds it, and only an operator can release it\n`],
  );
  assert.equal((await cluster.berth(["release", id])).code, 0);
  const [row] = await ended(cluster, [Number(id)], ["State"]);
  assert.equal(row?.State, "COMPLETED");
});

test("a job that asks to be root, or for Berth's own files, gets neither", { skip, timeout: 900_000 }, async () => {
  const secret = join(cluster.data, "tokens.json");
  const outcome = await as(bob!, ["sbatch", "--wait", ...small, "-o", "theft.txt", "--wrap", `cat ${secret}; echo $?`]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(readFileSync(join(home(bob!), "theft.txt"), "utf8"), /\n?1\n$/);
  assert.doesNotMatch(readFileSync(join(home(bob!), "theft.txt"), "utf8"), /berth:/);

  // The API itself, with the token that the login gave.
  const { url, certificateAuthority } = JSON.parse(
    readFileSync(join(await publicFolder(), "endpoint.json"), "utf8"),
  ) as {
    url: string;
    certificateAuthority: string;
  };
  writeFileSync(join(cluster.directory, "ca.pem"), certificateAuthority);
  const token = (await run("sh", ["-c", `cat ${home(bob!)}/state/berth/tokens/*`])).stdout;
  const ask = (method: string, path: string, body?: unknown): Promise<Outcome> =>
    run("curl", [
      "-sS",
      "--cacert",
      join(cluster.directory, "ca.pem"),
      "-X",
      method,
      "-H",
      `Authorization: Bearer ${token}`,
      "-H",
      "Content-Type: application/json",
      "-w",
      "\\n%{http_code}",
      ...(body === undefined ? [] : ["-d", JSON.stringify(body)]),
      `${url}${path}`,
    ]);
  const code = async (answer: Promise<Outcome>): Promise<string> => (await answer).stdout.split("\n").at(-1)!;
  const namespace = `/api/v1/namespaces/${bob!.name}`;
  assert.equal(await code(ask("GET", `${namespace}/pods`)), "200");
  assert.equal(await code(ask("GET", "/api/v1/secrets")), "403");
  assert.equal(await code(ask("GET", "/api/v1/namespaces/root/secrets")), "403");
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "root" },
    spec: { containers: [{ name: "c", image: "host", command: ["id"] }] },
  };
  assert.equal(await code(ask("POST", `${namespace}/pods`, pod)), "403");
  const workload = {
    apiVersion: "berth.dev/v1alpha1",
    kind: "Workload",
    metadata: { name: "as-root" },
    spec: {
      type: "Batch",
      user: bob!.name,
      podSets: [
        {
          name: "main",
          role: "Driver",
          count: 1,
          template: {
            spec: {
              securityContext: { runAsUser: 0 },
              containers: [
                {
                  name: "main",
                  image: "host",
                  securityContext: { runAsUser: 0 },
                  command: ["/bin/sh", "-c", `id -u >${home(bob!)}/uid.txt`],
                },
              ],
            },
          },
        },
      ],
    },
  };
  const made = await ask("POST", `/apis/berth.dev/v1alpha1/namespaces/${bob!.name}/workloads`, workload);
  const status = made.stdout.split("\n").at(-1)!;
  if (status === "201") {
    await as(bob!, ["sbatch", "--wait", ...small, "-d", "singleton", "-o", "/dev/null", "--wrap", "true"]);
    const all = await cluster.berth(["sacct", "-a", "-X", "-n", "-P", "-o", "User,State"]);
    assert.ok(all.stdout.includes(bob!.name));
    const uid = await run("cat", [join(home(bob!), "uid.txt")]);
    assert.notEqual(uid.stdout, "0\n", "a user's job ran as root");
  } else assert.ok(status === "403" || status === "422", made.stdout);
  const other = { ...workload, metadata: { name: "as-ada" }, spec: { ...workload.spec, user: ada!.name } };
  assert.equal(await code(ask("POST", `/apis/berth.dev/v1alpha1/namespaces/${ada!.name}/workloads`, other)), "403");
});

async function publicFolder(): Promise<string> {
  const found = await run("sh", ["-c", `grep -l '"${cluster.data}"' /run/berth/*/endpoint.json`]);
  return join(found.stdout.trim(), "..");
}
