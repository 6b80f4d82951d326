// Shapes of the API about teams: members, invitations, a team's own roles, API tokens and the audit.
import { z } from "zod";
import { CustomRoleName, Policy, RoleName, Scopes } from "./access.ts";
import { Email, PageQuery } from "./api.ts";
import { ApiTokenId, AtMs, DnsLabel, InvitationId, OperatorEntryId, TeamId, UserId } from "./ids.ts";

/** PATCH /v1/teams/{team}. Hostnames that apps have keep the slug they were made of. */
export const TeamRename = z
  .strictObject({ name: z.string().min(1).max(100).optional(), slug: DnsLabel.optional() })
  .refine(({ name, slug }) => name !== undefined || slug !== undefined, { message: "give name, slug or both" });

/** By name; null: all of the team, also projects that are made later. */
const ProjectNames = z.array(DnsLabel).min(1).max(50).nullable();

export const Member = z.object({
  user: UserId,
  email: z.string(),
  name: z.string(),
  role: z.string(),
  projects: z.array(z.string()).nullable(),
  createdAtMs: AtMs,
});
export type Member = z.infer<typeof Member>;
export const MemberPatch = z
  .strictObject({ role: RoleName.optional(), projects: ProjectNames.optional() })
  .refine(({ role, projects }) => role !== undefined || projects !== undefined, {
    message: "give role, projects or both",
  });

/** What an operator may at most in a team that is not theirs: nothing that outlasts the entry, such as members and roles. */
export const ENTRY_ROLES = ["viewer", "developer"] as const;
/** Break-glass: an operator's way into a team, for a stated reason and a while. endedAtMs: null while nobody ended it before its time. */
export const OperatorEntry = z.object({
  id: OperatorEntryId,
  team: TeamId,
  user: UserId,
  email: z.string(),
  role: z.enum(ENTRY_ROLES),
  reason: z.string(),
  createdAtMs: AtMs,
  endsAtMs: AtMs,
  endedAtMs: AtMs.nullable(),
  endedBy: z.string().nullable(),
});
export type OperatorEntry = z.infer<typeof OperatorEntry>;
const ENTRY_LASTS = "must be 5 minutes to 8 hours (480 minutes)";
export const EnterTeam = z.strictObject({
  role: z.enum(ENTRY_ROLES).default("viewer"),
  /** The team's owners read it. */
  reason: z.string().trim().min(10).max(500),
  minutes: z.int().min(5, ENTRY_LASTS).max(480, ENTRY_LASTS).default(60),
});
export type EnterTeam = z.infer<typeof EnterTeam>;

export const INVITATION_STATES = ["open", "accepted", "revoked", "expired"] as const;
export const Invitation = z.object({
  id: InvitationId,
  email: z.string(),
  role: z.string(),
  projects: z.array(z.string()).nullable(),
  state: z.enum(INVITATION_STATES),
  invitedBy: z.string(),
  createdAtMs: AtMs,
  expiresAtMs: AtMs,
});
export type Invitation = z.infer<typeof Invitation>;
export const InvitationCreate = z.strictObject({
  email: Email,
  role: RoleName.default("developer"),
  projects: ProjectNames.default(null),
});
/** token: what the invited shows to accept; in the email too. Shown once. */
export const InvitationCreated = Invitation.extend({ token: z.string() });
export const InvitationAccept = z.strictObject({ token: z.string().min(16).max(128) });

export const TeamOwnRole = z.object({
  name: z.string(),
  builtIn: z.boolean(),
  policies: z.array(Policy),
  updatedAtMs: AtMs.nullable(),
});
export type TeamOwnRole = z.infer<typeof TeamOwnRole>;
export const RolePut = z.strictObject({ policies: z.array(Policy).min(1).max(50) });
export const RoleParam = z.object({ role: CustomRoleName });

/** scopes null and projects null: all that its user may. */
export const ApiToken = z.object({
  id: ApiTokenId,
  name: z.string(),
  prefix: z.string(),
  user: UserId,
  scopes: z.array(z.string()).nullable(),
  projects: z.array(z.string()).nullable(),
  createdAtMs: AtMs,
  expiresAtMs: AtMs.nullable(),
  lastUsedAtMs: AtMs.nullable(),
});
export type ApiToken = z.infer<typeof ApiToken>;
export const ApiTokenCreate = z.strictObject({
  name: z.string().min(1).max(100),
  expiresInDays: z.int().min(1).max(3650).optional(),
  scopes: Scopes.optional(),
  projects: ProjectNames.optional(),
});
export const ApiTokenCreated = ApiToken.extend({ token: z.string() });

const Change = z.record(z.string(), z.unknown()).nullable();
/** team null: of the installation. outcome: `ok` or the code of the failure. */
export const AuditRecord = z.object({
  id: z.string(),
  team: TeamId.nullable(),
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  outcome: z.string(),
  address: z.string().nullable(),
  userAgent: z.string().nullable(),
  requestId: z.string().nullable(),
  before: Change,
  after: Change,
  data: z.record(z.string(), z.unknown()),
  atMs: AtMs,
});
export type AuditRecord = z.infer<typeof AuditRecord>;

const word = z
  .string()
  .max(256)
  .regex(/^[^\p{Cc}]+$/u, { message: "must be a word without control characters" });
const AuditFilter = {
  actor: word.optional().meta({
    description:
      "`user:<id>`, `token:<id>`, `operator:<id>` (of an operator who entered the team), `node:<id>`, `system` or `anonymous`.",
  }),
  action: word.optional().meta({ description: "Such as `app.create`." }),
  subject: word.optional().meta({ description: "The id or name of the thing." }),
  outcome: word.optional().meta({ description: "`ok`, or a failure's code such as `forbidden`." }),
  fromMs: z.coerce.number().pipe(AtMs).optional().meta({ description: "From this moment on." }),
  toMs: z.coerce.number().pipe(AtMs).optional().meta({ description: "Before this moment." }),
};
export const AuditQuery = PageQuery.extend(AuditFilter);
export const AuditExportQuery = z.strictObject(AuditFilter);
