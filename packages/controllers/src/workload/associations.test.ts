import assert from "node:assert/strict";
import { test } from "node:test";
import { type Account, apiVersion, type Membership, type Workload } from "@berth/kinds";
import { associationsOf, type AssociationInput } from "./associations.ts";

const named = <T>(kind: string, all: Record<string, object>): Map<string, T> =>
  new Map(Object.entries(all).map(([name, spec]) => [name, { apiVersion, kind, metadata: { name }, spec } as T]));
const member = (account: string, spec: Partial<Membership["spec"]> = {}): Membership => ({
  apiVersion,
  kind: "Membership",
  metadata: { name: `ada-${account}` },
  spec: { user: "ada", account, ...spec },
});

const base: Omit<AssociationInput, "workload"> = {
  identity: { name: "ada", uid: 7, gid: 7, groups: [7, 40], home: "/", shell: "/bin/sh" },
  groupNames: ["bio"],
  queues: named("Queue", {
    standard: { default: true },
    long: { qos: "patient" },
    closed: { allow: ["bob", "@40"] },
    foreign: { allow: ["bob"] },
  }),
  accounts: named<Account>("Account", {
    default: { open: true },
    science: { qos: "normal" },
    bio: { parent: "science" },
    chem: {},
  }),
  memberships: [member("chem"), member("bio", { default: true, queue: "long" })],
  qualitiesOfService: named("QualityOfService", {
    patient: {},
    urgent: { allow: ["@bio"], allowAccounts: ["chem"] },
    chemical: { allowAccounts: ["chem"] },
    scientific: { allowAccounts: ["science"] },
  }),
  reservations: named("Reservation", {
    course: { startTime: "2026-11-22T12:00:00Z", durationSeconds: 3600, users: ["ada"] },
    lab: { startTime: "2026-11-22T12:00:00Z", durationSeconds: 3600, accounts: ["science"] },
    past: { startTime: "2026-11-01T12:00:00Z", durationSeconds: 3600, users: ["ada"] },
    weekly: { startTime: "2026-11-01T12:00:00Z", durationSeconds: 3600, everySeconds: 604_800, users: ["ada"] },
    service: { startTime: "2026-11-22T12:00:00Z", durationSeconds: 3600, maintenance: true },
  }),
  site: undefined,
  now: Date.parse("2026-11-22T11:00:00Z") / 1000,
};

function told(spec: Partial<Workload["spec"]>, more: Partial<AssociationInput> = {}): unknown {
  const workload = {
    apiVersion,
    kind: "Workload",
    metadata: { name: "w" },
    spec: { type: "Batch", podSets: [], ...spec },
  };
  const found = associationsOf({ ...base, workload: workload as unknown as Workload, ...more });
  return "reason" in found
    ? `${found.reason}: ${found.message}`
    : [found.account, found.queue.metadata.name, found.qos];
}

test("what a job does not name comes from the membership, the accounts above it, the queue, the cluster", () => {
  assert.deepEqual(told({}), ["bio", "long", "normal"], "default membership, its queue, QOS of the account above");
  assert.deepEqual(told({ account: "chem" }), ["chem", "standard", undefined]);
  assert.deepEqual(told({ account: "chem", queue: "long" }), ["chem", "long", "patient"], "the queue's QOS");
  assert.deepEqual(told({ account: "chem", qos: "chemical" }), ["chem", "standard", "chemical"]);
  assert.deepEqual(told({}, { memberships: [member("chem", { qos: "chemical" })] }), ["chem", "standard", "chemical"]);
  assert.deepEqual(told({}, { memberships: [] }), ["default", "standard", undefined], "nobody needs an account");
  assert.deepEqual(
    told({ queue: "closed", account: "chem" }),
    ["chem", "closed", undefined],
    "by the number of a group",
  );
  assert.deepEqual(told({ qos: "urgent" }), ["bio", "long", "urgent"], "by a group's name");
  assert.deepEqual(told({ qos: "urgent", account: "chem" }, { groupNames: [] }), ["chem", "standard", "urgent"]);
  assert.deepEqual(told({ qos: "scientific" }), ["bio", "long", "scientific"], "an account under the one allowed");
});

test("what is unknown or not for this user is refused with what would be right", () => {
  assert.match(
    String(told({ account: "law" })),
    /^UnknownAccount: there is no account law; there are bio, chem, default/,
  );
  assert.match(String(told({ account: "science" })), /^NotInAccount: ada is not a member of account science; ask/);
  assert.match(String(told({}, { memberships: [], accounts: new Map() })), /^NotInAccount/);
  assert.match(String(told({ queue: "nowhere" })), /^UnknownQueue/);
  assert.match(String(told({ queue: "foreign" })), /^QueueNotAllowed: ada may not use queue foreign/);
  assert.match(
    String(told({ qos: "gold" })),
    /^UnknownQualityOfService: there is no quality of service gold; there are chem/,
  );
  assert.match(
    String(told({ qos: "chemical" })),
    /^QualityOfServiceNotAllowed: ada may not use .* chemical in account bio/,
  );
});

test("reservations: for users, for accounts and those under them, over or not", () => {
  assert.deepEqual(told({ reservation: "course" }), ["bio", "long", "normal"]);
  assert.deepEqual(told({ reservation: "lab" }), ["bio", "long", "normal"]);
  assert.deepEqual(told({ reservation: "weekly" }), ["bio", "long", "normal"]);
  assert.match(
    String(told({ reservation: "lab", account: "chem" })),
    /^ReservationNotAllowed: .* not for ada, nor for account chem/,
  );
  assert.match(String(told({ reservation: "service" })), /^ReservationNotAllowed/);
  assert.match(
    String(told({ reservation: "past" })),
    /^UnknownReservation: reservation past was over at 2026-11-01T13:00:00Z/,
  );
  assert.match(
    String(told({ reservation: "none" })),
    /^UnknownReservation: there is no reservation none; there are course, lab/,
  );
});

test("a cycle of accounts ends nothing but itself", () => {
  const accounts = named<Account>("Account", { bio: { parent: "chem" }, chem: { parent: "bio" } });
  assert.deepEqual(told({}, { accounts }), ["bio", "long", "patient"]);
});
