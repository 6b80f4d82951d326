// What a probe may say of a gateway.

/**
 * answers: the gateway did. busy: its host takes connections, as a kernel does however loaded the machine is, but the gateway
 * did not answer. silent: neither, which is what a host without power or without a wire looks like.
 */
export type Presence = "answers" | "busy" | "silent";
