/** Informers of the real client-go against a real API server that is killed under them; the program is beside this file. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { ApiServerProcess } from "../support/api-server-process.ts";

const withoutGo =
  spawnSync("go", ["version"], { stdio: "ignore" }).status === 0
    ? false
    : "go is not installed, so client-go cannot be built";

test("informers of client-go", { skip: withoutGo, timeout: 600_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-client-go-"));
  try {
    const binary = join(folder, "informers");
    const built = spawnSync("go", ["build", "-o", binary, "."], { cwd: import.meta.dirname, encoding: "utf8" });
    assert.equal(built.status, 0, `go build: ${built.stderr}`);
    await using server = new ApiServerProcess();
    await server.start();
    const child = spawn(binary, [server.kubeconfig], { stdio: ["pipe", "pipe", "pipe"] });
    let complaints = "";
    child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
    const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
    let phases = 0;
    try {
      for await (const line of createInterface(child.stdout)) {
        if (line === "KILL") {
          await server.kill();
          await server.start();
          child.stdin.write("\n");
          continue;
        }
        const outcome = /^(PASS|FAIL) ([^:]*)(?:: (.*))?/.exec(line);
        if (outcome === null) {
          context.diagnostic(line);
          continue;
        }
        phases++;
        await context.test(outcome[2]!, () => assert.equal(outcome[1], "PASS", outcome[3]));
      }
    } finally {
      child.kill("SIGKILL");
    }
    assert.equal(await closed, 0, complaints);
    assert.equal(phases, 12);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
