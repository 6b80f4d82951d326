// Which passwords are refused because everybody guesses them.
import { describe, expect, it } from "vitest";
import { judgePassword } from "../../../core/sign-in/common-passwords.ts";

const EMAIL = "ann.miller@example.com";

describe("a password", () => {
  it.each([
    ["is on every list", "qwertyuiop"],
    ["is on every list in other letters", "QwertyUiop"],
    ["is a common one with a number behind it", "basketball2024!"],
    ["repeats a few letters", "abababababab"],
    ["is the account's address", EMAIL],
    ["is the address's own part with a number", "Ann.Miller1990"],
  ])("that %s is refused", (_why, password) => {
    expect(judgePassword(password, EMAIL)).toMatchObject({ kind: "guessable" });
  });

  it.each(["correct horse battery", "ann.miller likes green tea", "Tr0ub4dor&3x", "пароль из многих слов"])(
    "that somebody made up is fine: %s",
    (password) => {
      expect(judgePassword(password, EMAIL)).toEqual({ kind: "fine" });
    },
  );

  it("is judged by its own account's address alone", () => {
    expect(judgePassword("ann.miller@example.com", "ben@example.com")).toEqual({ kind: "fine" });
    expect(judgePassword("bob and others", "b@example.com")).toEqual({ kind: "fine" });
  });
});
