import assert from "node:assert/strict";
import { test } from "node:test";
import { compileDeviceSelector, type SelectedDevice } from "./cel-device.ts";

const device: SelectedDevice = {
  driver: "gpu.example.com",
  attributes: {
    model: { string: "a100" },
    index: { int: 3 },
    healthy: { bool: true },
    "driver.example.com/version": { version: "1.10.0-rc.2" },
  },
  capacity: { memory: { value: "40Gi" } },
};

test("selectors see driver, attributes by domain, and capacities as quantities", () => {
  const cases: [string, boolean][] = [
    [`device.driver == "gpu.example.com"`, true],
    [`device.attributes["gpu.example.com"].model == "a100"`, true],
    [`device.attributes["gpu.example.com"].index >= 4`, false],
    [`device.attributes["gpu.example.com"].healthy`, true],
    [`"model" in device.attributes["gpu.example.com"]`, true],
    [`device.attributes["gpu.example.com"].missing == "x"`, false],
    [`device.attributes["other.example.com"].model == "a100"`, false],
    [`device.capacity["gpu.example.com"].memory.compareTo(quantity("40Gi")) >= 0`, true],
    [`device.capacity["gpu.example.com"].memory.isGreaterThan(quantity("41Gi"))`, false],
    [`device.attributes["driver.example.com"].version.isGreaterThan(semver("1.9.9"))`, true],
    [`device.attributes["driver.example.com"].version.isLessThan(semver("1.10.0"))`, true],
    [`device.attributes["driver.example.com"].version.compareTo(semver("1.10.0-rc.10")) < 0`, true],
    [`device.attributes["driver.example.com"].version.minor() == 10`, true],
    [`device.driver.startsWith("gpu.") && device.attributes["gpu.example.com"].model.matches("^a1")`, true],
  ];
  for (const [expression, expected] of cases) {
    assert.equal(compileDeviceSelector(expression)(device), expected, expression);
  }
  assert.throws(() => compileDeviceSelector("device.driver ==="));
  assert.throws(() => compileDeviceSelector("claim.name == ''"), /claim/);
});
