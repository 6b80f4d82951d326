// Limits of teams: how many people, roles and open invitations, each with its reason.

/** A list of members is read whole where a role is changed; a larger organisation has several teams. */
export const MEMBERS_MAX = 1_000;
/** More than one for each kind of work is a mistake of a script. */
export const CUSTOM_ROLES_MAX = 50;
/** Lines of one role; they are read with every request of those who have it. */
export const POLICIES_MAX = 50;
/** Each is an email to somebody: a team must not be a way to send thousands. */
export const OPEN_INVITATIONS_MAX = 100;
/** Long enough for a holiday, short enough that a forgotten one opens nothing. */
export const INVITATION_TTL_MS = 7 * 24 * 60 * 60 * 1_000;
/** Of an export: rows read at once. */
export const AUDIT_EXPORT_PAGE = 500;
