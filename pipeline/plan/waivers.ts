/**
 * Waivers: accepted changes, written down in the repository. A waiver covers one impact on one address by one step from
 * values to values, so it does not cover the next change of the same address.
 */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { canonical, sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import type { ResourceChange } from './facts.ts';
import { type Impact, impacts } from './impacts.ts';

/** Days from now beyond which a waiver does not reach. */
export const longestDays = 90;

const waiver = z.strictObject({
  environment: z.string().min(1),
  address: z.string().min(1),
  impact: z.enum(impacts as [Impact, ...Impact[]]),
  /** As the refusal prints it. */
  fingerprint: z.string().regex(/^[0-9a-f]{16}$/),
  reason: z.string().trim().min(10),
  /** The person who accepts it. */
  by: z.string().trim().min(2),
  /** Last day, `2026-12-31`. */
  expires: z.iso.date(),
});

export type Waiver = z.infer<typeof waiver>;

const file = z.strictObject({ waivers: z.array(waiver) });

/** @throws Fault `plan/waivers-unreadable` */
export function readWaivers(path: string): readonly Waiver[] {
  if (!existsSync(path)) return [];
  try {
    return file.parse(JSON.parse(readFileSync(path, 'utf8'))).waivers;
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    throw new Fault(
      'plan/waivers-unreadable',
      `Waivers ${path}`,
      issue ? `${issue.path.join('.') || 'the document'}: ${issue.message}` : messageOf(error),
      'Correct the file: docs/reviewing.md has its form.',
    );
  }
}

/** Why a waiver does not count today; undefined if it does. */
export function whyInvalid({ expires }: Pick<Waiver, 'expires'>, now: Date): string | undefined {
  const end = Date.parse(`${expires}T23:59:59.999Z`);
  if (end < now.getTime()) return `it expired on ${expires}`;
  return end > now.getTime() + (longestDays + 1) * 86_400_000
    ? `it reaches further than ${longestDays} days`
    : undefined;
}

/** 16 hexadecimal digits over the values that decide about the impact of a change. */
export function fingerprintOf(change: ResourceChange, impact: Impact, paths: readonly string[]): string {
  const { address, action, before, changed, replacedFor, reason = '' } = change;
  // Without a path, the change as a whole decides.
  const decides = (path: string) => paths.length === 0 || paths.includes(path) || action === 'replace';
  const deciding = changed
    .filter(({ path }) => decides(path))
    .map(({ path, before: was, after, isUnknown }) => [
      path,
      was ?? null,
      isUnknown ? 'known after apply' : (after ?? null),
    ]);
  // A resource that is destroyed is the deciding value itself; of one that is created, its arguments.
  const whole = action === 'update' ? null : action === 'create' ? change.after : before;
  const document = [address, action, impact, deciding, [...replacedFor].sort(), reason, whole];
  return sha256(canonical(document)).slice(0, 16);
}
