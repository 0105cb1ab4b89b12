import assert from "node:assert/strict";
import { before, test } from "node:test";
import { formatIndexList, parseIndexList } from "@berth/kinds";
import fc from "fast-check";
import { SlurmError } from "./errors.ts";
import { compressInOrder, expandHostlist } from "./hostlist.ts";
import { plainTasks } from "./job-ids.ts";
import type { JobRow } from "./rows.ts";
import { formatLicences, jobRecord, nodeRecord, partitionRecord } from "./scontrol-records.ts";
import { parseJobUpdate } from "./scontrol-update.ts";

before(() => {
  process.env["TZ"] = "UTC";
});

const nowSeconds = Date.parse("2026-11-21T23:34:47Z") / 1000;
const row: JobRow = {
  jobId: 387,
  name: "mpi",
  user: "alice",
  uid: 1001,
  gid: 1001,
  account: "accta",
  partition: "debug",
  qos: "normal",
  state: "RUNNING",
  reason: "None",
  submitTime: nowSeconds - 11,
  eligibleTime: nowSeconds - 11,
  startTime: nowSeconds - 9,
  endTime: nowSeconds - 9 + 1200,
  elapsedSeconds: 11,
  timeLimitSeconds: 1200,
  nodes: ["n1", "n4"],
  nodeCount: 2,
  cpus: 4,
  tasks: 4,
  memoryBytes: 200 * 2 ** 20,
  memoryPerCpu: true,
  priority: 4370,
  nice: 0,
  restarts: 0,
  requeue: true,
  workingDirectory: "/home/alice",
  command: "/home/alice/multi.sh",
  standardOutput: "/home/alice/slurm-387.out",
  submitHost: "localhost",
  namespace: "alice",
  workload: "mpi-1",
};

test("a job that runs, line for line as scontrol shows it", () => {
  const text = jobRecord(row, { group: "alice" }, nowSeconds);
  for (const line of [
    "JobId=387 JobName=mpi",
    "   UserId=alice(1001) GroupId=alice(1001) MCS_label=N/A",
    "   Priority=4370 Nice=0 Account=accta QOS=normal",
    "   JobState=RUNNING Reason=None Dependency=(null)",
    "   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0",
    "   RunTime=00:00:11 TimeLimit=00:20:00 TimeMin=N/A",
    "   StartTime=2026-11-21T23:34:38 EndTime=2026-11-21T23:54:38 Deadline=N/A",
    "   NodeList=n[1,4]",
    "   BatchHost=n1",
    "   NumNodes=2 NumCPUs=4 NumTasks=4 CPUs/Task=1 ReqB:S:C:T=0:0:*:*",
    "   TRES=cpu=4,mem=800M,node=2,billing=4",
    "   MinCPUsNode=1 MinMemoryCPU=200M MinTmpDiskNode=0",
    "   Command=/home/alice/multi.sh",
    "   StdErr=/home/alice/slurm-387.out",
  ])
    assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
  assert.ok(text.endsWith("\n\n"));
  const one = jobRecord(row, {}, nowSeconds, true);
  assert.equal(one.split("\n").length, 2);
  assert.match(one, /^JobId=387 JobName=mpi UserId=alice/);
});

test("of an array that waits its indices and its limit are told, of a held job no priority", () => {
  const pending: JobRow = {
    ...row,
    state: "PENDING",
    reason: "JobHeldUser",
    nodes: [],
    arrayJobId: 387,
    arrayTasks: "1-9:2",
    arrayMaxRunning: 3,
  };
  const text = jobRecord(pending, { licences: { foo: 2, bar: 1 }, mailTypes: ["END"] }, nowSeconds);
  assert.match(text, /^JobId=387 ArrayJobId=387 ArrayTaskId=1,3,5,7,9%3 ArrayTaskThrottle=3 JobName=mpi\n/);
  assert.match(text, / Priority=0 /);
  assert.match(text, / Licenses=foo:2,bar /);
  assert.match(text, / MailUser=alice MailType=END\n/);
  assert.doesNotMatch(text, /BatchHost/);
});

test("nodes and partitions have the words that programs look for", () => {
  const node = {
    name: "n1",
    state: "mixed",
    responding: true,
    cpus: 4,
    cpusAllocated: 1,
    memoryBytes: 4000 * 2 ** 20,
    memoryAllocatedBytes: 400 * 2 ** 20,
    features: ["cpu"],
  } as const;
  const shown = nodeRecord({ ...node, features: [...node.features] }, ["debug", "short"]);
  assert.match(shown, /CPUAlloc=1 CPUEfctv=4 CPUTot=4/);
  assert.match(shown, /State=MIXED /);
  assert.match(shown, /Partitions=debug,short /);
  assert.match(shown, /AllocTRES=cpu=1,mem=400M\n/);
  const partition = { name: "debug", default: true, available: "up", timeLimitSeconds: 3600, nodes: ["n1"] } as const;
  const text = partitionRecord({ ...partition, nodes: ["n1"] }, [{ ...node, features: [] }]);
  assert.match(text, /MaxTime=01:00:00 /);
  assert.match(text, /State=UP TotalCPUs=4 TotalNodes=1 /);
});

test("an update says what changes, names may be cut short, and what is no name is refused", () => {
  assert.deepEqual(parseJobUpdate(["JobId=42", "TimeLimit=30", "Nice=7"], nowSeconds), {
    jobs: "42",
    changes: { wallTimeSeconds: 1800, nice: 7 },
  });
  assert.deepEqual(parseJobUpdate(["jobid=42,43", "time=+10", "part=short"], nowSeconds), {
    jobs: "42,43",
    changes: { relativeTimeSeconds: 600, queue: "short" },
  });
  assert.deepEqual(parseJobUpdate(["jobid=1", "ArrayTaskThrottle=0", "dependency="], nowSeconds).changes, {
    maxRunning: null,
    dependencies: null,
  });
  const refused = (word: string): string => {
    try {
      parseJobUpdate(["jobid=1", word], nowSeconds);
    } catch (error) {
      assert.ok(error instanceof SlurmError);
      return error.format("scontrol");
    }
    return "";
  };
  assert.match(
    refused("nosuchfield=1"),
    /^Update of this parameter is not supported: nosuchfield=1\nRequest aborted\n$/,
  );
  assert.match(refused("JobName=x"), /keeps its JobName/);
  assert.match(refused("TimeLimit=abc"), /Invalid TimeLimit/);
});

test("words of an update never make anything but changes or a refusal in words", () => {
  const word = fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.constantFrom("TimeLimit", "Nice", "StartTime", "Dependency", "Priority", "Deadline", "name"),
        fc.string(),
      )
      .map(([name, value]) => `${name}=${value}`),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 4 }), (words) => {
      try {
        parseJobUpdate(["jobid=1", ...words], nowSeconds);
      } catch (error) {
        assert.ok(error instanceof SlurmError, String(error));
      }
    }),
  );
});

test("licences are told as they were asked for", () => {
  assert.equal(formatLicences(undefined), "(null)");
  assert.equal(formatLicences({ foo: 1, bar: 3 }), "foo,bar:3");
});

test("a hostlist in the order of its names gives these names again", () => {
  assert.equal(compressInOrder(["n3", "n1", "n2"]), "n[3,1-2]");
  assert.equal(compressInOrder(["n1", "n2", "n3", "m02"]), "n[1-3],m02");
  const name = fc.tuple(fc.constantFrom("n", "node-", "a1b"), fc.nat({ max: 300 }), fc.integer({ min: 1, max: 4 }));
  fc.assert(
    fc.property(
      fc.uniqueArray(name.map(([prefix, number, width]) => prefix + String(number).padStart(width, "0"))),
      (names) => {
        assert.deepEqual(expandHostlist(compressInOrder(names)), names);
      },
    ),
  );
});

test("indices without steps are the same indices", () => {
  assert.equal(plainTasks("1-5:2,6-7"), "1,3,5-7");
  assert.equal(plainTasks("0-20:5"), "0,5,10,15,20");
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 500 }), { minLength: 1 }), (indices) => {
      const text = formatIndexList(parseIndexList(indices.join(",")));
      assert.deepEqual([...parseIndexList(plainTasks(text))], [...parseIndexList(text)]);
      assert.doesNotMatch(plainTasks(text), /:/);
    }),
  );
});
