import assert from "node:assert/strict";
import { test } from "node:test";
import { isTimeZone, windowShifts } from "./time-zone.ts";

const seconds = (time: string): number => Date.parse(time) / 1000;
const day = 86_400;

/** The start of the window so many days after the first, as `scheduling` reckons it. */
function startAfter(first: string, zone: string, days: number): string {
  const nominal = seconds(first) + days * day;
  const shift = windowShifts(seconds(first), zone).findLast(({ from }) => from <= nominal)?.seconds ?? 0;
  return new Date((nominal + shift) * 1000).toISOString();
}

test("every Tuesday at 08:00 in Berlin is that in summer and winter", () => {
  const first = "2026-12-01T08:00:00+01:00";
  for (let week = 0; week < 52 * 20; week += 1) {
    const at = new Date(startAfter(first, "Europe/Berlin", 7 * week));
    const clock = at.toLocaleString("en-GB", {
      timeZone: "Europe/Berlin",
      weekday: "short",
      timeStyle: undefined,
      hour: "2-digit",
      minute: "2-digit",
    });
    assert.equal(clock, "Tue 08:00", at.toISOString());
  }
});

test("days of the change: what comes before it, what after, what is left out, and what comes twice", () => {
  const berlin = "Europe/Berlin";
  // Clocks go from 02:00 to 03:00 on 2027-03-28, and from 03:00 to 02:00 on 2027-10-31; those are 87 and 304 days after New Year.
  assert.equal(startAfter("2026-12-31T23:30:00Z", berlin, 86), "2027-03-27T23:30:00.000Z");
  assert.equal(startAfter("2026-12-31T23:30:00Z", berlin, 87), "2027-03-28T22:30:00.000Z");
  assert.equal(startAfter("2027-01-01T02:30:00+01:00", berlin, 86), "2027-03-28T01:30:00.000Z");
  assert.equal(startAfter("2027-01-01T02:30:00+01:00", berlin, 87), "2027-03-29T00:30:00.000Z");
  assert.equal(startAfter("2027-01-01T02:30:00+01:00", berlin, 303), "2027-10-31T00:30:00.000Z");
  assert.equal(startAfter("2027-01-01T02:30:00+01:00", berlin, 304), "2027-11-01T01:30:00.000Z");
  // One that begins in summer.
  assert.equal(startAfter("2027-07-01T08:00:00+02:00", berlin, 180), "2027-12-28T07:00:00.000Z");
});

test("zones of the other half of the world, of half hours, and without changes", () => {
  assert.equal(startAfter("2026-12-01T08:00:00+11:00", "Australia/Sydney", 180), "2027-05-29T22:00:00.000Z");
  assert.equal(startAfter("2026-12-01T08:00:00+11:00", "Australia/Lord_Howe", 180), "2027-05-29T21:30:00.000Z");
  for (const zone of ["UTC", "Asia/Kolkata"]) assert.deepEqual(windowShifts(seconds("2026-12-01T00:00:00Z"), zone), []);
  assert.ok(isTimeZone("America/New_York") && !isTimeZone("Europe/Atlantis"));
  assert.throws(() => windowShifts(0, "Europe/Atlantis"), /there is no time zone Europe\/Atlantis/);
});
