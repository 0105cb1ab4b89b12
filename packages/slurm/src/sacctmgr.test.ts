import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SlurmError } from "./errors.ts";
import { formatSacctmgr, readSacctmgrCommand, sacctmgrChanges } from "./sacctmgr.ts";

test("commands are read as people write them", () => {
  const show = readSacctmgrCommand(["-nP", "show", "assoc", "account=bio", "format=Account,User%20,Share"]);
  assert.equal(show.entity, "association");
  assert.deepEqual([show.noHeader, show.parsable, show.format], [true, "Plain", "Account,User%20,Share"]);
  assert.deepEqual(show.where, { account: ["bio"] });
  const add = readSacctmgrCommand(["-i", "add", "user", "ada,bob", "account=bio", "fairshare=3"]);
  assert.deepEqual([add.where, add.set], [{ names: ["ada", "bob"], account: ["bio"] }, { fairshare: "3" }]);
  const modify = readSacctmgrCommand(["modify", "user", "where", "name=ada", "set", "MaxJobs=10", "defaultqos=urgent"]);
  assert.deepEqual([modify.where, modify.set], [{ names: ["ada"] }, { maxjobs: "10", defaultqos: "urgent" }]);
  assert.throws(() => readSacctmgrCommand(["show", "problems"]), SlurmError);
});

test("what is set becomes fields of Berth's kinds; -1 takes away", () => {
  assert.deepEqual(sacctmgrChanges("account", { fairshare: "parent", parent: "root", grptres: "cpu=4,mem=10G" }), {
    shares: "Parent",
    parent: null,
    limits: { resources: { cpu: "4", memory: "10240Mi" } },
  });
  assert.deepEqual(sacctmgrChanges("user", { maxjobs: "-1", maxwall: "1:00:00" }), {
    limits: { runningJobs: null, perJob: { wallTimeSeconds: 3600 } },
  });
  assert.deepEqual(sacctmgrChanges("qos", { priority: "10", maxjobspu: "2", maxsubmitpu: "5", preempt: "low" }), {
    priority: 10,
    limits: { perUser: { runningJobs: 2, submittedJobs: 5 } },
    preempts: ["low"],
  });
  assert.throws(() => sacctmgrChanges("user", { parent: "x" }), SlurmError);
  assert.throws(() => sacctmgrChanges("account", { grptres: "license/foo=1" }), SlurmError);
});

test("tables have Slurm's headings and widths", () => {
  const command = readSacctmgrCommand([
    "show",
    "qos",
    "format=name,priority,maxwall,maxjobspu,maxsubmitpu,maxtrespu,grptres",
  ]);
  const limits = {
    perJob: { wallTimeSeconds: 1800 },
    perUser: { runningJobs: 1, submittedJobs: 3, resources: { cpu: "4" } },
    resources: { cpu: "6" },
  };
  assert.deepEqual(formatSacctmgr([{ name: "normal" }, { name: "one", limits }], command).split("\n"), [
    "      Name   Priority     MaxWall MaxJobsPU MaxSubmitPU     MaxTRESPU       GrpTRES ",
    "---------- ---------- ----------- --------- ----------- ------------- ------------- ",
    "    normal          0                                                               ",
    "       one          0    00:30:00         1           3         cpu=4         cpu=6 ",
    "",
  ]);
  const plain = readSacctmgrCommand(["-n", "-p", "show", "account", "format=account,share"]);
  assert.equal(formatSacctmgr([{ account: "bio", shares: "Parent" }], plain), "bio|parent|\n");
});

test("any words are a command, or are refused in words", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(fc.string(), fc.constantFrom("show", "add", "user", "qos", "set", "maxjobs=x", "grptres=cpu=1")),
      ),
      (words) => {
        try {
          const command = readSacctmgrCommand(words);
          formatSacctmgr([], command);
          sacctmgrChanges(command.entity, command.set);
        } catch (error) {
          assert.ok(error instanceof SlurmError, String(error));
        }
      },
    ),
  );
});
