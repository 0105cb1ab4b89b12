/** Which source of users a site has, as its settings file says it. */
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { FileUsers } from "./file-users.ts";
import { type LdapSettings, LdapUsers } from "./ldap-users.ts";
import { LocalUsers } from "./local-users.ts";
import type { UserDirectory } from "./user-directory.ts";

type Type = "string" | "boolean" | "number" | "list";
const sources: Record<string, { needed: Record<string, Type>; possible: Record<string, Type> }> = {
  Local: { needed: {}, possible: {} },
  Files: { needed: { passwdFile: "string" }, possible: { groupFile: "string" } },
  Claims: { needed: {}, possible: {} },
  Ldap: {
    needed: { servers: "list", userBase: "string", groupBase: "string" },
    possible: {
      caFile: "string",
      bindDn: "string",
      passwordFile: "string",
      allowPlaintext: "boolean",
      userFilter: "string",
      groupFilter: "string",
      timeoutSeconds: "number",
      pageSize: "number",
      lifetimeSeconds: "number",
      keepSeconds: "number",
    },
  },
};

export type UserSettings =
  | { source: "Local" }
  | { source: "Claims" }
  | { source: "Files"; passwdFile: string; groupFile?: string }
  | ({ source: "Ldap" } & LdapSettings);

/**
 * @param folder relative paths are from there
 * @throws an Error in words: which field, and what would be right
 */
export function parseUserSettings(value: unknown, folder: string): UserSettings {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`it must be a map with source: ${Object.keys(sources).join(", ")}`);
  const { source, ...fields } = value as Record<string, unknown>;
  const known = typeof source === "string" ? sources[source] : undefined;
  if (known === undefined)
    throw new Error(`source: ${JSON.stringify(source)} is none; it must be one of ${Object.keys(sources).join(", ")}`);
  const types = { ...known.needed, ...known.possible };
  for (const name of Object.keys(known.needed))
    if (fields[name] === undefined) throw new Error(`${name} is missing; source ${source as string} needs it`);
  for (const [name, field] of Object.entries(fields)) {
    const type = types[name];
    if (type === undefined)
      throw new Error(
        `${name} is no setting of source ${source as string}; it has ${Object.keys(types).join(", ") || "none"}`,
      );
    if (!isOf(type, field)) throw new Error(`${name} must be a ${wordOf[type]}, not ${JSON.stringify(field)}`);
    if (name.endsWith("File") && !isAbsolute(field as string)) fields[name] = join(folder, field as string);
  }
  if (source === "Ldap") checkLdap(fields as unknown as LdapSettings);
  return { source, ...fields } as UserSettings;
}

const wordOf: Record<Type, string> = {
  string: "text",
  boolean: "true or false",
  number: "whole number above 0",
  list: "list of texts",
};

function isOf(type: Type, value: unknown): boolean {
  if (type === "list") return Array.isArray(value) && value.length > 0 && value.every((item) => isOf("string", item));
  if (type === "number") return Number.isSafeInteger(value) && (value as number) > 0;
  return typeof value === type && value !== "";
}

function checkLdap({ servers, bindDn, passwordFile, userFilter, groupFilter }: LdapSettings): void {
  for (const server of servers) {
    if (
      !URL.canParse(server) ||
      !/^ldaps?:$/.test(new URL(server).protocol) ||
      !/^ldaps?:\/\/[^/?#@]+\/?$/.test(server)
    )
      throw new Error(
        `servers: ${server} must be ldaps://HOST[:PORT], or ldap://HOST[:PORT], which is encrypted by StartTLS`,
      );
  }
  if ((bindDn === undefined) !== (passwordFile === undefined))
    throw new Error("bindDn and passwordFile go together: who asks, and the file that has the password");
  for (const [name, filter] of Object.entries({ userFilter, groupFilter }))
    if (filter !== undefined && !/^\(.*\)$/s.test(filter))
      throw new Error(`${name}: ${filter} must stand in parentheses`);
}

/**
 * The source of users that settings name; that of claims is made by who has the namespaces.
 * @throws in words where it cannot be asked now
 */
export async function openUsers(
  settings: Exclude<UserSettings, { source: "Claims" }>,
  warn: (message: string) => void,
): Promise<UserDirectory> {
  if (settings.source === "Local") return new LocalUsers();
  if (settings.source === "Files") {
    const users = new FileUsers(settings);
    await users.read();
    return users;
  }
  const { caFile } = settings;
  if (caFile !== undefined && !/-----BEGIN CERTIFICATE-----/.test(readFileSync(caFile, "utf8")))
    throw new Error(`caFile: ${caFile} holds no certificate in PEM`);
  const users = new LdapUsers(settings, { warn });
  await users.check();
  return users;
}
