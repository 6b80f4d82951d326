// Nobody gives more than they have: roles to members, scopes to tokens, policies to roles.
import { ACTIONS, PROJECT_RESOURCES, RESOURCES } from "../../contracts/access.ts";
import type { ProjectId } from "../../contracts/ids.ts";
import { authorise } from "./authorise.ts";
import { grantsOf } from "./roles.ts";
import type { Asked, Subject } from "./types.ts";

/** Stands for every project that neither side names. */
const ANY_OTHER = "any other project" as ProjectId;

/**
 * The first `resource:action` that `given` could do and `giver` could not; null where there is none. Tries every resource,
 * action, project that one of them names, and both answers to "own": a few thousand cheap questions, at a change of rights alone.
 */
export function beyond(giver: Subject, given: Subject): string | null {
  const projects = [...projectsNamed(giver), ...projectsNamed(given), ANY_OTHER];
  for (const resource of RESOURCES) {
    const places = (PROJECT_RESOURCES as readonly string[]).includes(resource) ? projects : [undefined];
    for (const action of ACTIONS) {
      for (const project of places) {
        for (const own of [true, false]) {
          const asked: Asked = { resource, action, project, own };
          if (authorise(given, asked).kind === "allowed" && authorise(giver, asked).kind !== "allowed") {
            return `${resource}:${action}`;
          }
        }
      }
    }
  }
  return null;
}

function projectsNamed({ role, projects, token }: Subject): ProjectId[] {
  const conditions = grantsOf(role).flatMap(({ condition }) => condition.projects ?? []);
  return [...conditions, ...(projects ?? []), ...(token?.projects ?? [])];
}
