import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@berth/machinery";
import { type Turn, Writer } from "./writer.ts";

const writer = (concurrency = 1): Writer =>
  new Writer({ concurrency, log: () => {}, signal: new AbortController().signal });

test("what is urgent goes first and what is idle last, but has every eighth turn", async () => {
  const line = writer();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = line.run(() => gate.promise);
  const add = (turn: Turn, number: number): Promise<void>[] =>
    Array.from({ length: number }, () => line.run(async () => void order.push(turn), turn));
  const all = [...add("Idle", 4), ...add("Usual", 20), ...add("Urgent", 3)];
  assert.equal(line.queued, 24);
  gate.resolve();
  await Promise.all([first, ...all]);
  assert.deepEqual(order.slice(0, 3), ["Urgent", "Urgent", "Urgent"]);
  assert.equal(order.length, 27);
  assert.deepEqual(order.slice(7, 8), ["Idle"]);
  assert.equal(order.slice(3, 24).filter((turn) => turn === "Idle").length, 3);
  assert.ok(line.isQuiet);
});

test("a server that has not read its roles yet is asked again, and what a policy refuses is not", async () => {
  const forbidden = (words: string): ApiError => new ApiError(403, "Forbidden", `pods is forbidden: ${words}`);
  let tries = 0;
  const early = async (): Promise<string> => {
    if (++tries < 3) throw forbidden('User "robot" cannot create resource "pods" in API group ""');
    return "made";
  };
  assert.equal(await writer().run(early), "made");
  tries = 0;
  const refused = async (): Promise<void> => {
    tries++;
    throw forbidden('violates PodSecurity "restricted"');
  };
  await assert.rejects(writer().run(refused), /violates PodSecurity/);
  assert.equal(tries, 1);
});
