import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { readScriptHead } from "./directives.ts";
import {
  formatCpuTime,
  formatDuration,
  formatFullDuration,
  formatLimit,
  parseTimeLimit,
  unlimitedSeconds,
} from "./durations.ts";
import { compressHostlist, expandHostlist } from "./hostlist.ts";
import { formatMemory, parseMemory } from "./memory.ts";
import { formatMoment, parseMoment } from "./moments.ts";
import { formatDependencies, parseDependencies, parseLicenses, parseSignal, parseSignalName } from "./values.ts";

before(() => {
  process.env["TZ"] = "UTC";
});

test("wall times as Slurm reads them, rounded up to minutes", () => {
  for (const [text, minutes] of Object.entries({
    "90": 90,
    "60:00": 60,
    "2:00:00": 120,
    "1:00:0": 60,
    "12:0:0": 720,
    "1-0": 1440,
    "1-25": 49 * 60,
    "10:61": 12,
    "1:90:00": 150,
    "0:30": 1,
    "1:1": 2,
    "1-10:0:0": 34 * 60,
    "01-00:00:00": 1440,
    "480:00:00": 480 * 60,
    "0-24:00:00": 1440,
    "0-99:59:00": 99 * 60 + 59,
    "30:00": 30,
    "0-3": 180,
    "7-12:30": (7 * 24 + 12) * 60 + 30,
  })) {
    assert.equal(parseTimeLimit(text), minutes * 60, text);
  }
  for (const text of ["0", "00:00:00", "UNLIMITED", "unlimited", "Infinite"]) {
    assert.equal(parseTimeLimit(text), unlimitedSeconds);
  }
  for (const text of ["-5", "abc", "1d", "1.5", "1:2:3:4", "", "1-", ":5", "1--2", " 5"]) {
    assert.throws(() => parseTimeLimit(text), /Invalid --time specification/, text);
  }
});

test("durations as squeue, sacct and scontrol print them", () => {
  for (const [seconds, short, full] of [
    [7, "0:07", "00:00:07"],
    [600, "10:00", "00:10:00"],
    [7200, "2:00:00", "02:00:00"],
    [86_400, "1-00:00:00", "1-00:00:00"],
    [7 * 86_400 + 61, "7-00:01:01", "7-00:01:01"],
  ] as const) {
    assert.equal(formatDuration(seconds), short);
    assert.equal(formatFullDuration(seconds), full);
  }
  assert.equal(formatLimit(undefined), "UNLIMITED");
  assert.equal(formatLimit(unlimitedSeconds, formatDuration, "infinite"), "infinite");
  assert.equal(formatCpuTime(61_230), "01:01.230");
  assert.equal(formatCpuTime(3_600_000), "01:00:00");
});

test("a printed duration of whole minutes reads back as itself", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500_000 }), (minutes) => {
      const seconds = minutes * 60;
      fc.pre(seconds !== unlimitedSeconds);
      assert.equal(parseTimeLimit(formatDuration(seconds)), seconds);
      assert.equal(parseTimeLimit(formatFullDuration(seconds)), seconds);
    }),
  );
});

test("memory in all the forms seen", () => {
  const mebi = 1024 ** 2;
  for (const [text, bytes] of Object.entries({
    "2000": 2000 * mebi,
    "4G": 4096 * mebi,
    "4g": 4096 * mebi,
    "16gb": 16_384 * mebi,
    "16GB": 16_384 * mebi,
    "16Gb": 16_384 * mebi,
    "100M": 100 * mebi,
    "100mb": 100 * mebi,
    "1T": 1024 ** 4,
    "1K": mebi,
    "2048k": 2 * mebi,
    "0": 0,
  })) {
    assert.equal(parseMemory(text, "mem"), bytes, text);
  }
  for (const text of ["1X", "-1", "", "G", "1.5G", "1 G", "9999999999T"]) {
    assert.throws(() => parseMemory(text, "mem"), /Invalid --mem specification/, text);
  }
  assert.equal(formatMemory(100 * mebi), "100M");
  assert.equal(formatMemory(1536 * mebi), "1536M");
  assert.equal(formatMemory(2048 * mebi), "2G");
  assert.equal(formatMemory(1536 * mebi, "G"), "1.50G");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1 << 30 }), (count) => {
      assert.equal(parseMemory(formatMemory(count * mebi), "mem"), count * mebi);
    }),
  );
});

test("moments as --begin and --deadline take them", () => {
  const now = Date.UTC(2026, 10, 21, 22, 53, 56) / 1000;
  const at = (time: string) => Date.parse(`${time}Z`) / 1000;
  for (const [text, expected] of [
    ["now", now],
    ["now+5", now + 5],
    ["now+1hour", now + 3600],
    ["now+12hours", now + 12 * 3600],
    ["now+1minutes", now + 60],
    ["now+2days", now + 2 * 86_400],
    ["now+1week", now + 7 * 86_400],
    ["now-10minutes", now - 600],
    ["20:00", at("2026-11-22T20:00:00")],
    ["23:30", at("2026-11-21T23:30:00")],
    ["11:30pm", at("2026-11-21T23:30:00")],
    ["midnight", at("2026-11-22T00:00:00")],
    ["noon", at("2026-11-22T12:00:00")],
    ["today", at("2026-11-21T00:00:00")],
    ["tomorrow", at("2026-11-22T00:00:00")],
    ["2026-06-29T16:23:42", at("2026-06-29T16:23:42")],
    ["2020-01-01", at("2020-01-01T00:00:00")],
    ["01/02", at("2027-01-02T00:00:00")],
    ["12/24/26", at("2026-12-24T00:00:00")],
    ["12/24-08:00", at("2026-12-24T08:00:00")],
    ["122426", at("2026-12-24T00:00:00")],
    ["uts1000", 1000],
  ] as const) {
    assert.equal(parseMoment(text, now), expected, text);
  }
  for (const text of ["foo", "", "now+1month", "25:00", "2026-13-01", "02/30", "now+", "12"]) {
    assert.equal(parseMoment(text, now), undefined, text);
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
      assert.equal(parseMoment(formatMoment(seconds), now), seconds);
    }),
  );
});

test("hostlists", () => {
  assert.deepEqual(expandHostlist("n[1-3,7],m02"), ["n1", "n2", "n3", "n7", "m02"]);
  assert.deepEqual(expandHostlist("c[1,3-5],"), ["c1", "c3", "c4", "c5"]);
  assert.deepEqual(expandHostlist("n[08-10]x[1-2]"), ["n08x1", "n08x2", "n09x1", "n09x2", "n10x1", "n10x2"]);
  assert.equal(compressHostlist(["n1", "n2", "n3", "m02"]), "n[1-3],m02");
  assert.equal(compressHostlist(["n3", "n1", "n2"]), "n[1-3]");
  assert.equal(compressHostlist(["n08", "n09", "n10", "n9"]), "n[08,9,09-10]");
  assert.equal(compressHostlist(["login", "n1"]), "login,n1");
  assert.equal(compressHostlist([]), "");
  for (const text of ["n[1-", "n]", "n[3-1]", "n[a]", "n[1-9999999]", "n[[1]]"]) {
    assert.throws(() => expandHostlist(text), RangeError, text);
  }
  const name = fc
    .tuple(fc.constantFrom("n", "gpu-", "rack1-", "x"), fc.constantFrom("", "0", "00"), fc.option(fc.nat(120)))
    .map(([prefix, zeros, number]) => (number === null ? prefix : `${prefix}${zeros}${number}`));
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), (names) => {
      assert.deepEqual(expandHostlist(compressHostlist(names)).toSorted(), names.toSorted());
    }),
  );
});

test("dependencies as squeue prints them", () => {
  const print = (text: string) => formatDependencies(parseDependencies(text), undefined, (job) => job === 337);
  assert.equal(print("afterok:322:323"), "afterok:322(unfulfilled),afterok:323(unfulfilled)");
  assert.equal(print("afterok:323?afterok:322"), "afterok:323(unfulfilled)?afterok:322(unfulfilled)");
  assert.equal(print("after:322+1"), "after:322+1(unfulfilled)");
  assert.equal(print("singleton"), "singleton(unfulfilled)");
  assert.equal(print("aftercorr:337"), "aftercorr:337_*(unfulfilled)");
  assert.equal(print("AFTEROK:337_1"), "afterok:337_1(unfulfilled)");
  assert.equal(print("afterok:337_*"), "afterok:337_*(unfulfilled)");
  assert.equal(print("3115"), "afterany:3115(unfulfilled)");
  assert.equal(print(""), "(null)");
  assert.equal(
    formatDependencies(parseDependencies("afterok:1:2:3"), ({ job }) =>
      job === 1 ? "satisfied" : job === 2 ? "failed" : "unfulfilled",
    ),
    "afterok:2(failed),afterok:3(unfulfilled)",
  );
});

test("signals", () => {
  assert.deepEqual(parseSignal("B:SIGUSR1@120"), {
    signal: 10,
    secondsBefore: 120,
    batchOnly: true,
    reservation: false,
  });
  assert.equal(parseSignal("USR1").secondsBefore, 60);
  assert.equal(parseSignal("15@30").signal, 15);
  assert.equal(parseSignalName("sigterm"), 15);
  assert.equal(parseSignalName("SYS"), 31);
  assert.equal(parseSignalName("FOO"), undefined);
});

const words = (script: string) => readScriptHead(script, "x.sh").directives.map((directive) => directive.words);

test("directives: which lines, and how they are split", () => {
  assert.deepEqual(
    words(`#!/bin/bash
#SBATCH --job-name=a -N 2   # two nodes
##SBATCH --mem=1
# SBATCH --mem=2
 #SBATCH --mem=3

#SBATCH	--time=5
#SBATCH --comment="a b" --output='c d'\\ e
#SBATCH --cpus-per-task=12#SBATCH --gres=gpu:1
#SBATCH --image=ghcr.io\\#user/image "NVIDIA A|H100"   \t
#SBATCH -o $HOME/x --array=0-$(($n-1)) ''
   # a comment

echo
#SBATCH --late`),
    [
      ["--job-name=a", "-N", "2"],
      ["--time=5"],
      ["--comment=a b", "--output=c d e"],
      ["--cpus-per-task=12"],
      ["--image=ghcr.io#user/image", "NVIDIA A|H100"],
      ["-o", "$HOME/x", "--array=0-$(($n-1))", ""],
    ],
  );
  assert.deepEqual(words("#!/bin/sh\n#SBATCH -N1"), [["-N1"]]);
  assert.throws(() => words("#!/bin/sh\n#SBATCH :x"), /line 2: Unexpected `:`/);
  assert.throws(() => words('#!/bin/sh\n\n#SBATCH -J "a'), /x\.sh: line 3: Unmatched `"` in \["a\]/);
  assert.equal(readScriptHead("#!/bin/sh\n#PBS -l x\n#PBS -q y\n", "x").foreignLines, 2);
});

test("any word survives quoting in a directive", () => {
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const word = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !/[\n\r]/.test(text));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (list) => {
      assert.deepEqual(words(`#!/bin/sh\n#SBATCH ${list.map(quote).join(" ")} # end`), [list]);
    }),
  );
});

test("licences are names with counts; alternatives are refused", () => {
  assert.deepEqual(parseLicenses("matlab:2,fluent"), { matlab: 2, fluent: 1 });
  assert.deepEqual(parseLicenses("a=3,a"), { a: 4 });
  for (const text of ["a|b", "a@db", "a:0", "a:x"]) assert.throws(() => parseLicenses(text), /Invalid license/);
});
