/** Validations of ValidatingAdmissionPolicies: rules in CEL that also see who asks and what they may do. */
import type { ParseResult } from "@marcbachmann/cel-js";
import { policyEnvironment } from "./cel-library.ts";
import type { AccessQuestion } from "./cel-library.ts";
import { readsOf } from "./cel-reads.ts";
import type { Reads } from "./cel-reads.ts";
import { celProjection, celValue } from "./cel-value.ts";
import type { CompiledSchema } from "./compiled-schema.ts";
import { isObject } from "./json.ts";
import type { JsonObject } from "./json.ts";

export interface PolicyValidation {
  expression: string;
  message?: string;
  reason?: string;
}

/** What a validation sees beside the object: `request`, and by `authorizer` what whoever asks may do. */
interface PolicyRequest {
  operation: "CREATE" | "UPDATE";
  name: string;
  namespace: string;
  userInfo: { username: string; groups: readonly string[] };
}

export interface CompiledPolicy {
  /** The first validation that does not hold, in words; undefined: all do. One that cannot be evaluated does not. */
  check(
    object: JsonObject,
    old: JsonObject | undefined,
    request: PolicyRequest,
    allows: (question: AccessQuestion) => boolean,
  ): { message: string; reason: string } | undefined;
}

const variables = { self: "object", oldSelf: "oldObject" } as const;

/** Throws what is wrong with an expression. */
export function compilePolicy(validations: readonly PolicyValidation[], schema: CompiledSchema): CompiledPolicy {
  const environment = policyEnvironment();
  const compiled = validations.map((validation) => {
    const program = environment.parse(validation.expression);
    const { valid, error } = program.check();
    if (!valid) throw new Error(`${validation.expression}: ${String(error)}`);
    return { validation, program, reads: readsOf(program.ast, variables) };
  });
  const duration: ParseResult = environment.parse("duration(object)");
  const makeDuration = (text: string): unknown => duration({ object: text });
  const seen = (value: JsonObject | undefined, reads: Reads | undefined, of: keyof Reads): unknown => {
    if (value === undefined) return null;
    return reads === undefined
      ? celValue(value, schema.node, makeDuration)
      : celProjection(value, schema.node, reads[of], makeDuration);
  };
  return {
    check: (object, old, request, allows) => {
      for (const { validation, program, reads } of compiled) {
        let fault = "";
        try {
          const context = {
            object: seen(object, reads, "self"),
            oldObject: seen(old, reads, "oldSelf"),
            request: celValue(request, undefined, makeDuration),
            authorizer: environment.authorizer(allows),
          };
          if (program(context) === true) continue;
        } catch (error) {
          fault = `: ${(isObject(error) || error instanceof Error ? String(error.message) : String(error)).split("\n")[0]}`;
        }
        const words = validation.message ?? `failed expression: ${validation.expression}`;
        return { message: `${words}${fault}`, reason: validation.reason ?? "Invalid" };
      }
      return undefined;
    },
  };
}
