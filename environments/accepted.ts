/**
 * Controls of the evidence catalogue that an environment does not meet, and whose risk its owner accepts until a date.
 * The pack shows each as waived, with all of this, and as violated from the day after. Until a person has confirmed it, the
 * entry is a proposal: the pack shows it beside the violated value.
 */
export interface AcceptedControl {
  /** Id in `pipeline/evidence/catalogue/`. */
  readonly control: string;
  /** Names of environments. @default - every environment */
  readonly environments?: readonly string[];
  /** A sentence without a period. */
  readonly reason: string;
  /** Team that accepts the risk. */
  readonly owner: string;
  /** Last day, `2027-11-30`. */
  readonly expires: string;
  /** The person who has accepted the risk, the day, and where that is written. @default - nobody has: a proposal */
  readonly confirmed?: { readonly by: string; readonly on: string; readonly where: string };
}

const owner = 'platform-engineering';

export const acceptedControls: readonly AcceptedControl[] = [
  {
    control: 'ACC-4',
    reason:
      'logins need an Entra token, which nobody can guess, and the throttle would delay all pods behind one address after the failures of one',
    owner,
    expires: '2027-11-30',
  },
  {
    control: 'LOG-4',
    reason:
      'files on the server are off (logfiles.download_enable); the workspace receives the same records and keeps them as LOG-7 shows',
    owner,
    expires: '2027-11-30',
  },
];
