/** Rules for names, labels and annotations. Each check returns messages in Kubernetes' words; none: the value is good. */
import { fieldInvalid, fieldTooLong } from "./field-errors.ts";
import type { FieldError } from "./field-errors.ts";

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomain = `${label}(\\.${label})*`;
const label1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const keyName = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const configKey = "[-._a-zA-Z0-9]+";
const environmentName = "[-._a-zA-Z][-._a-zA-Z0-9]*";

const labelPattern = new RegExp(`^${label}$`);
const subdomainPattern = new RegExp(`^${subdomain}$`);
const label1035Pattern = new RegExp(`^${label1035}$`);
const keyNamePattern = new RegExp(`^${keyName}$`);
const labelValuePattern = new RegExp(`^(${keyName})?$`);
const configKeyPattern = new RegExp(`^${configKey}$`);
const environmentNamePattern = new RegExp(`^${environmentName}$`);

const keyRule =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

function withPattern(rule: string, pattern: string, ...examples: string[]): string {
  const quoted = examples.map((example) => `'${example}'`).join(",  or ");
  return `${rule} (e.g. ${quoted}, regex used for validation is '${pattern}')`;
}

function tooLong(maximum: number): string {
  return `must be no more than ${maximum} bytes`;
}

/** A name of one part, at most 63 characters: namespaces, containers, ports. */
export function checkDns1123Label(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 63) errors.push(tooLong(63));
  if (!labelPattern.test(value)) {
    const rule =
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    errors.push(
      subdomainPattern.test(value) ? "must not contain dots" : withPattern(rule, label, "my-name", "123-abc"),
    );
  }
  return errors;
}

/** A name of parts joined by dots, at most 253 characters: most objects. */
export function checkDns1123Subdomain(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 253) errors.push(tooLong(253));
  if (!subdomainPattern.test(value)) {
    const rule =
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    errors.push(withPattern(rule, subdomain, "example.com"));
  }
  return errors;
}

/** As a label, but starting with a letter: Services. */
export function checkDns1035Label(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 63) errors.push(tooLong(63));
  if (!label1035Pattern.test(value)) {
    const rule =
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
    errors.push(withPattern(rule, label1035, "my-name", "abc-123"));
  }
  return errors;
}

/** Names that only must be one segment of a URL's path: roles, role bindings. */
export function checkPathSegment(value: string): string[] {
  if (value === "." || value === "..") return [`may not be '${value}'`];
  return ["/", "%"].filter((one) => value.includes(one)).map((one) => `may not contain '${one}'`);
}

/** Keys of labels and annotations, names of finalizers, taints and extended resources: `[domain/]name`. */
export function checkQualifiedName(value: string): string[] {
  const parts = value.split("/");
  const nameRule = withPattern(keyRule, keyName, "MyName", "my.name", "123-abc");
  if (parts.length > 2) {
    return [`a valid label key ${nameRule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const errors: string[] = [];
  if (parts.length === 2) {
    if (parts[0] === "") errors.push("prefix part must be non-empty");
    else errors.push(...checkDns1123Subdomain(parts[0]!).map((message) => `prefix part ${message}`));
  }
  const name = parts.at(-1)!;
  if (name === "") errors.push("name part must be non-empty");
  else if (name.length > 63) errors.push(`name part ${tooLong(63)}`);
  if (!keyNamePattern.test(name)) errors.push(`name part ${nameRule}`);
  return errors;
}

export function checkLabelValue(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 63) errors.push(tooLong(63));
  if (!labelValuePattern.test(value)) {
    const rule =
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    errors.push(withPattern(rule, `(${keyName})?`, "MyValue", "my_value", "12345"));
  }
  return errors;
}

function upwardPath(value: string): string[] {
  if (value === "." || value === "..") return [`must not be '${value}'`];
  return value.startsWith("..") ? ["must not start with '..'"] : [];
}

/** Keys of ConfigMaps and Secrets. */
export function checkConfigMapKey(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 253) errors.push(tooLong(253));
  if (!configKeyPattern.test(value)) {
    const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    errors.push(withPattern(rule, configKey, "key.name", "KEY_NAME", "key-name"));
  }
  return [...errors, ...upwardPath(value)];
}

/** Names of environment variables (the strict rule; the relaxed one of 1.34 takes all printable ASCII but `=`). */
export function checkEnvironmentVariableName(value: string): string[] {
  if (environmentNamePattern.test(value)) return upwardPath(value);
  const rule =
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit";
  return [withPattern(rule, environmentName, "my.env-name", "MY_ENV.NAME", "MyEnvName1"), ...upwardPath(value)];
}

export function validateLabels(labels: Record<string, string>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels)) {
    for (const message of checkQualifiedName(key)) errors.push(fieldInvalid(path, key, message));
    for (const message of checkLabelValue(value)) errors.push(fieldInvalid(path, value, message));
  }
  return errors;
}

/** All annotations of an object together may have 256 KiB. */
export const maximumAnnotationsBytes = 256 * 1024;

export function validateAnnotations(annotations: Record<string, string>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    // Keys are compared in lower case: `Example.com/x` is good as an annotation but not as a label.
    for (const message of checkQualifiedName(key.toLowerCase())) errors.push(fieldInvalid(path, key, message));
    bytes += utf8Length(key) + utf8Length(value);
  }
  if (bytes > maximumAnnotationsBytes) errors.push(fieldTooLong(path, maximumAnnotationsBytes));
  return errors;
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

// Without vowels and look-alikes, so that no word comes about; the alphabet of Kubernetes.
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";
const suffixLength = 5;

/** `base` and five random characters, at most 63 in all. `random` gives numbers in [0, 1). */
export function generatedName(base: string, random: () => number): string {
  let suffix = "";
  for (let count = 0; count < suffixLength; count++) {
    suffix += suffixAlphabet[Math.floor(random() * suffixAlphabet.length)];
  }
  return base.slice(0, 63 - suffixLength) + suffix;
}
