/**
 * What an OpenID provider says of somebody's ids. The API server puts claims of a token into `userInfo.extra`, under these keys
 * (`claimMappings.extra` of its AuthenticationConfiguration); they are named like the annotations of a namespace.
 */
import { annotations } from "../constants.ts";
import { literal, type Variable } from "./admission.ts";

const extra = (key: string): string => `request.userInfo.?extra[?${literal(key)}].orValue([])`;

/** Empty where who asks has no such token. */
export const claimVariables: Variable[] = [
  { name: "claimedUid", expression: `${extra(annotations.uid)}.join(',')` },
  { name: "claimedGid", expression: `${extra(annotations.gid)}.join(',')` },
  { name: "claimedGroups", expression: `${extra(annotations.groups)}.join(',')` },
];
