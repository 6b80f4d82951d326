// The one decision: what each role, policy, project limit and scope allows, as tables.
import { describe, expect, it } from "vitest";
import {
  ACTIONS,
  OPERATOR_RESOURCES,
  PROJECT_RESOURCES,
  RESOURCES,
  TEAM_RESOURCES,
  TEAM_ROLES,
  type TeamRole,
} from "../../../contracts/access.ts";
import type { ProjectId } from "../../../contracts/ids.ts";
import { authorise, isHidden, projectsShown } from "../../../core/authorise/authorise.ts";
import { beyond } from "../../../core/authorise/giving.ts";
import type { Asked, Grant, Subject } from "../../../core/authorise/types.ts";

const shop = "proj_shop" as ProjectId;
const blog = "proj_blog" as ProjectId;
const member = (name: TeamRole, more: Partial<Subject> = {}): Subject => ({
  role: { kind: "built_in", name },
  projects: null,
  token: null,
  operator: false,
  ...more,
});
const custom = (...grants: Grant[]): Subject => ({
  ...member("viewer"),
  role: { kind: "custom", name: "own", grants },
});
const token = (scopes: readonly string[], projects: readonly ProjectId[] | null = null) => ({ scopes, projects });
const reasonOf = (subject: Subject, asked: Asked): string => {
  const verdict = authorise(subject, asked);
  return verdict.kind === "denied" ? verdict.reason.kind : verdict.kind;
};
const everything = [...PROJECT_RESOURCES, ...TEAM_RESOURCES].flatMap((resource) =>
  ACTIONS.map((action) => ({ resource, action })),
);
/** What a role may without a condition, written as a person would. */
const allowedTo = (role: TeamRole): string[] =>
  everything
    .filter((asked) => authorise(member(role), asked).kind === "allowed")
    .map(({ resource, action }) => `${resource}:${action}`);

describe("the built-in roles", () => {
  it("contain each other, from owner down to viewer", () => {
    expect(allowedTo("owner")).toHaveLength(everything.length);
    for (const [at, role] of TEAM_ROLES.slice(1).entries()) {
      const above = TEAM_ROLES[at] as TeamRole;
      expect(beyond(member(above), member(role)), `${role} within ${above}`).toBeNull();
      expect(beyond(member(role), member(above)), `${above} beyond ${role}`).not.toBeNull();
    }
  });

  it("let an admin do all but make or end the team", () => {
    const owner = new Set(allowedTo("owner"));
    for (const right of allowedTo("admin")) owner.delete(right);
    expect([...owner]).toEqual(["team:create", "team:delete"]);
  });

  it("let a developer do everything with apps and nothing with people, roles and the audit", () => {
    const rights = allowedTo("developer");
    for (const resource of PROJECT_RESOURCES)
      for (const action of ACTIONS) expect(rights).toContain(`${resource}:${action}`);
    const others = rights.filter(
      (right) => !(PROJECT_RESOURCES as readonly string[]).includes(right.split(":")[0] ?? ""),
    );
    expect(others).toEqual([
      ...["team:read", "member:read", "role:read", "token:create", "project:read", "project:create"],
      ...["registry:read", "registry:create", "registry:update", "registry:delete"],
    ]);
  });

  it("let a viewer read, but not the audit, and make tokens of as little", () => {
    const writes = allowedTo("viewer").filter((right) => !right.endsWith(":read"));
    expect(writes).toEqual(["token:create"]);
    expect(allowedTo("viewer")).not.toContain("audit:read");
  });

  it("let everybody see and end their own tokens, and leave, and below admin nobody else's", () => {
    for (const role of TEAM_ROLES) {
      for (const asked of [
        { resource: "token", action: "delete" },
        { resource: "token", action: "read" },
        { resource: "member", action: "delete" },
      ] as const) {
        const wide = role === "owner" || role === "admin";
        expect(authorise(member(role), asked)).toEqual(wide ? { kind: "allowed" } : { kind: "depends", on: ["own"] });
        expect(reasonOf(member(role), { ...asked, own: true })).toBe("allowed");
        expect(reasonOf(member(role), { ...asked, own: false })).toBe(wide ? "allowed" : "not_own");
      }
    }
  });
});

describe("an operator", () => {
  it("has the installation's things whatever the role, and nothing more of the team than the role", () => {
    for (const resource of OPERATOR_RESOURCES)
      for (const action of ACTIONS) {
        expect(reasonOf(member("viewer", { operator: true }), { resource, action })).toBe("allowed");
        expect(reasonOf(member("owner"), { resource, action })).toBe("operators_only");
      }
    expect(reasonOf(member("viewer", { operator: true }), { resource: "app", action: "delete" })).toBe("role");
  });

  it("has a token that does not reach them unless its scopes do", () => {
    const deploys = member("owner", { operator: true, token: token(["app:*", "release:*"]) });
    expect(reasonOf(deploys, { resource: "node", action: "read" })).toBe("token_scope");
    const watches = member("owner", { operator: true, token: token(["node:read"]) });
    expect(reasonOf(watches, { resource: "node", action: "read" })).toBe("allowed");
    expect(reasonOf(watches, { resource: "node", action: "delete" })).toBe("token_scope");
  });
});

describe("a limit to projects", () => {
  const limited = member("developer", { projects: [shop] });

  it("answers for the kind of thing at first, and for the thing once its project is known", () => {
    const asked = { resource: "app", action: "update" } as const;
    expect(authorise(limited, asked)).toEqual({ kind: "depends", on: ["project"] });
    expect(reasonOf(limited, { ...asked, project: shop })).toBe("allowed");
    expect(reasonOf(limited, { ...asked, project: blog })).toBe("project");
    expect(isHidden(limited, { resource: "app", project: blog })).toBe(true);
    expect(projectsShown(limited, asked)).toEqual([shop]);
    expect(projectsShown(member("developer"), asked)).toBeNull();
  });

  it("closes what is about the team as a whole, whatever the role would allow", () => {
    for (const role of TEAM_ROLES) {
      const subject = member(role, { projects: [shop] });
      for (const right of [
        "member:read",
        "member:create",
        "registry:read",
        "audit:read",
        "project:create",
        "team:update",
      ]) {
        const [resource, action] = right.split(":") as [Asked["resource"], Asked["action"]];
        expect(reasonOf(subject, { resource, action }), `${role} ${right}`).toBe("limited_to_projects");
      }
    }
  });

  it("of a token counts beside that of its user: what both have is left", () => {
    const both = member("developer", { projects: [shop], token: token(["*"], [blog]) });
    for (const project of [shop, blog])
      expect(reasonOf(both, { resource: "app", action: "read", project })).toBe("project");
    expect(projectsShown(both, { resource: "app", action: "read" })).toEqual([]);
  });
});

describe("a team's own role", () => {
  it("allows what one of its policies says, and nothing else", () => {
    const deployer = custom(
      { resource: "release", actions: ["create"], condition: { projects: [shop] } },
      { resource: "app", actions: ["read"], condition: {} },
    );
    expect(reasonOf(deployer, { resource: "release", action: "create", project: shop })).toBe("allowed");
    expect(reasonOf(deployer, { resource: "release", action: "create", project: blog })).toBe("project");
    expect(isHidden(deployer, { resource: "app", project: blog })).toBe(false);
    expect(reasonOf(deployer, { resource: "release", action: "delete", project: shop })).toBe("role");
    expect(reasonOf(deployer, { resource: "member", action: "read" })).toBe("role");
    expect(projectsShown(deployer, { resource: "release", action: "create" })).toEqual([shop]);
  });

  it("holds a line about projects to apps' things alone, even one about everything", () => {
    const subject = custom({ resource: "*", actions: ["*"], condition: { projects: [shop] } });
    expect(reasonOf(subject, { resource: "app", action: "delete", project: shop })).toBe("allowed");
    expect(reasonOf(subject, { resource: "member", action: "read" })).toBe("role");
  });

  it("of a condition on what is one's own asks for that, and of one on sessions refuses tokens", () => {
    const subject = custom(
      { resource: "app", actions: ["delete"], condition: { own: true } },
      { resource: "environment", actions: ["update"], condition: { sessionOnly: true } },
    );
    expect(reasonOf(subject, { resource: "app", action: "delete", own: false })).toBe("not_own");
    expect(reasonOf(subject, { resource: "app", action: "delete", own: true })).toBe("allowed");
    expect(reasonOf(subject, { resource: "environment", action: "update" })).toBe("allowed");
    expect(reasonOf({ ...subject, token: token(["*"]) }, { resource: "environment", action: "update" })).toBe("role");
  });

  it("that is no longer there, or was never filled, allows nothing", () => {
    for (const asked of everything) expect(reasonOf(custom(), asked)).toBe("role");
  });

  it("never reaches the installation's things", () => {
    const subject = custom({ resource: "*", actions: ["*"], condition: {} });
    for (const resource of OPERATOR_RESOURCES)
      expect(reasonOf(subject, { resource, action: "read" })).toBe("operators_only");
  });
});

describe("the scopes of a token", () => {
  it.each([
    [["*"], "app", "delete", true],
    [["app:*"], "app", "delete", true],
    [["app:*"], "release", "create", false],
    [["*:read"], "audit", "read", true],
    [["*:read"], "app", "update", false],
    [["app:read", "release:create"], "release", "create", true],
    [["release:create"], "release", "read", false],
    [[], "app", "read", false],
  ] as const)("%j and %s:%s: %s", (scopes, resource, action, is) => {
    expect(reasonOf(member("owner", { token: token(scopes) }), { resource, action })).toBe(
      is ? "allowed" : "token_scope",
    );
  });

  it("never make more of it than its user may", () => {
    for (const role of TEAM_ROLES)
      for (const resource of RESOURCES)
        for (const action of ACTIONS)
          for (const own of [true, false]) {
            const asked = { resource, action, own };
            if (reasonOf(member(role, { token: token(["*"]) }), asked) === "allowed")
              expect(reasonOf(member(role), asked), `${role} ${resource}:${action}`).toBe("allowed");
          }
  });
});

describe("the facts", () => {
  it("once both known leave nothing that depends, for any subject and question", () => {
    const subjects = [
      ...TEAM_ROLES.map((role) => member(role)),
      ...TEAM_ROLES.map((role) => member(role, { projects: [shop] })),
      custom({ resource: "*", actions: ["*"], condition: { projects: [blog], own: true } }),
    ];
    for (const subject of subjects)
      for (const resource of RESOURCES)
        for (const action of ACTIONS)
          for (const project of [shop, blog])
            for (const own of [true, false])
              expect(authorise(subject, { resource, action, project, own }).kind).not.toBe("depends");
  });

  it("never allow what was denied before they were known", () => {
    const subject = custom({ resource: "app", actions: ["read"], condition: { projects: [shop] } });
    for (const asked of everything) {
      if (authorise(subject, asked).kind !== "denied") continue;
      for (const project of [shop, blog])
        for (const own of [true, false]) expect(authorise(subject, { ...asked, project, own }).kind).toBe("denied");
    }
  });
});

describe("giving", () => {
  it("is refused beyond one's own rights, by name", () => {
    expect(beyond(member("admin"), member("owner"))).toBe("team:create");
    expect(beyond(member("developer"), member("viewer"))).toBeNull();
    const inviter = custom({ resource: "member", actions: ["create"], condition: {} });
    expect(beyond(inviter, member("viewer"))).toBe("app:read");
    expect(beyond(inviter, inviter)).toBeNull();
  });

  it("sees the project in which something would be more", () => {
    const inShop = custom({ resource: "app", actions: ["*"], condition: { projects: [shop] } });
    const inBoth = custom({ resource: "app", actions: ["*"], condition: { projects: [shop, blog] } });
    expect(beyond(inBoth, inShop)).toBeNull();
    expect(beyond(inShop, inBoth)).toBe("app:read");
    expect(beyond(member("developer", { projects: [shop] }), member("developer"))).not.toBeNull();
  });

  it("lets a token make no token of wider scopes or of more projects", () => {
    const narrow = member("owner", { token: token(["token:*", "app:read"], null) });
    expect(beyond(narrow, { ...narrow, token: token(["app:read"]) })).toBeNull();
    expect(beyond(narrow, { ...narrow, token: token(["app:*"]) })).toBe("app:create");
    const inShop = member("owner", { token: token(["*"], [shop]) });
    expect(beyond(inShop, { ...inShop, token: token(["*"], [shop, blog]) })).toBe("app:read");
  });
});
