/** Selectors of devices in CEL, as DeviceClasses and ResourceClaims have them: `device.driver`, `device.attributes`, `device.capacity`. */
import { celQuantity, celVersion, deviceEnvironment } from "./cel-library.ts";

/** A device of a ResourceSlice: of each attribute one of the values is set. Names without a domain are of the driver's. */
export interface SelectedDevice {
  driver: string;
  attributes: Record<string, { string?: string; int?: number; bool?: boolean; version?: string }>;
  capacity: Record<string, { value: string | number }>;
}

/** Values by domain and name. */
function byDomain<T>(driver: string, values: Record<string, T>, read: (value: T) => unknown): Record<string, unknown> {
  const found: Record<string, Record<string, unknown>> = { [driver]: {} };
  for (const [name, value] of Object.entries(values)) {
    const slash = name.indexOf("/");
    const domain = slash < 0 ? driver : name.slice(0, slash);
    (found[domain] ??= {})[name.slice(slash + 1)] = read(value);
  }
  return found;
}

/**
 * Whether a device is meant; one of which the selector cannot be evaluated, for want of an attribute, is not.
 * @throws what is wrong with the expression
 */
export function compileDeviceSelector(expression: string): (device: SelectedDevice) => boolean {
  const program = deviceEnvironment().parse(expression);
  const { valid, error } = program.check();
  if (!valid) throw new Error((error instanceof Error ? error.message : String(error)).split("\n")[0]);
  return ({ driver, attributes, capacity }) => {
    const device = {
      driver,
      attributes: byDomain(driver, attributes, ({ string, int, bool, version }) => {
        if (int !== undefined) return BigInt(int);
        return version === undefined ? (string ?? bool) : celVersion(version);
      }),
      capacity: byDomain(driver, capacity, ({ value }) => celQuantity(String(value))),
    };
    try {
      return program({ device }) === true;
    } catch {
      return false;
    }
  };
}
