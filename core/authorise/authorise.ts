// The one decision about who may do what. Cheap: a request asks it twice at most, and it looks at a few dozen lines.
import { OPERATOR_RESOURCES, PROJECT_RESOURCES, type Action, type Resource } from "../../contracts/access.ts";
import type { ProjectId } from "../../contracts/ids.ts";
import { grantsOf } from "./roles.ts";
import type { Asked, DeniedReason, Fact, Grant, Subject, Verdict } from "./types.ts";

const ALLOWED: Verdict = { kind: "allowed" };
const denied = (reason: DeniedReason): Verdict => ({ kind: "denied", reason });
const OF_OPERATORS: ReadonlySet<Resource> = new Set(OPERATOR_RESOURCES);
const OF_PROJECTS: ReadonlySet<Resource> = new Set(PROJECT_RESOURCES);

/** What of the team as a whole is open to someone who is limited to projects: who is there, and what is his own. */
const OPEN_TO_LIMITED: ReadonlySet<string> = new Set([
  "team:read",
  "role:read",
  "project:read",
  "member:delete",
  "token:create",
  "token:read",
  "token:delete",
]);

/**
 * Without `project` and `own` it answers for the kind of thing: denied where no thing of it could be allowed, `depends` where
 * it hangs on which. With both facts it never answers `depends`.
 */
export function authorise(subject: Subject, asked: Asked): Verdict {
  const { resource, action } = asked;
  if (subject.token !== null && !inScope(subject.token.scopes, resource, action))
    return denied({ kind: "token_scope" });
  if (OF_OPERATORS.has(resource)) return subject.operator ? ALLOWED : denied({ kind: "operators_only" });
  const depends = new Set<Fact>();
  const limits = [subject.projects, subject.token?.projects ?? null].filter((limit) => limit !== null);
  if (limits.length > 0) {
    if (!OF_PROJECTS.has(resource)) {
      if (!OPEN_TO_LIMITED.has(`${resource}:${action}`)) return denied({ kind: "limited_to_projects" });
    } else if (asked.project === undefined) {
      depends.add("project");
    } else {
      const { project } = asked;
      if (!limits.every((limit) => limit.includes(project))) return denied({ kind: "project" });
    }
  }
  const granted = byGrants(subject, asked);
  if (granted.kind !== "depends") return granted.kind === "allowed" && depends.size > 0 ? dependsOn(depends) : granted;
  for (const fact of granted.on) depends.add(fact);
  return dependsOn(depends);
}

/** Whether the subject may not even see the thing: then it is answered as if it were not there. */
export const isHidden = (subject: Subject, asked: Omit<Asked, "action">): boolean =>
  authorise(subject, { ...asked, action: "read" }).kind === "denied";

/** Of a list: whose projects it may show at all; null: it hangs on no project. Each row is asked about once more. */
export function projectsShown(
  subject: Subject,
  asked: Pick<Asked, "resource" | "action">,
): readonly ProjectId[] | null {
  const verdict = authorise(subject, asked);
  if (verdict.kind !== "depends" || !verdict.on.includes("project")) return null;
  const named = new Set([
    ...grantsOf(subject.role).flatMap(({ condition }) => condition.projects ?? []),
    ...(subject.projects ?? []),
    ...(subject.token?.projects ?? []),
  ]);
  return [...named].filter((project) => authorise(subject, { ...asked, project }).kind !== "denied");
}

const dependsOn = (facts: ReadonlySet<Fact>): Verdict => ({ kind: "depends", on: [...facts] });

/** The widest of the lines that speak of it; what no line allows is denied for the reason of the one that came nearest. */
function byGrants(subject: Subject, asked: Asked): Verdict {
  const role = subject.role.name;
  let nearest: DeniedReason = { kind: "role", role };
  const facts = new Set<Fact>();
  for (const grant of grantsOf(subject.role)) {
    if (!speaksOf(grant, asked)) continue;
    const { projects, own, sessionOnly } = grant.condition;
    if (sessionOnly === true && subject.token !== null) continue;
    const missing: Fact[] = [];
    if (projects !== undefined) {
      // A line about projects says nothing of what belongs to none.
      if (!OF_PROJECTS.has(asked.resource)) continue;
      if (asked.project === undefined) missing.push("project");
      else if (!projects.includes(asked.project)) {
        nearest = { kind: "project" };
        continue;
      }
    }
    if (own === true) {
      if (asked.own === undefined) missing.push("own");
      else if (!asked.own) {
        if (nearest.kind === "role") nearest = { kind: "not_own", role };
        continue;
      }
    }
    if (missing.length === 0) return ALLOWED;
    for (const fact of missing) facts.add(fact);
  }
  return facts.size > 0 ? dependsOn(facts) : denied(nearest);
}

const speaksOf = ({ resource, actions }: Grant, asked: Asked): boolean =>
  (resource === "*" || resource === asked.resource) && (actions.includes("*") || actions.includes(asked.action));

function inScope(scopes: readonly string[], resource: Resource, action: Action): boolean {
  return scopes.some((scope) => {
    if (scope === "*") return true;
    const [ofResource, ofAction] = scope.split(":");
    return (ofResource === "*" || ofResource === resource) && (ofAction === "*" || ofAction === action);
  });
}
