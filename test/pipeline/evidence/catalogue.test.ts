/** The catalogue of controls: every id that it names exists. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { acceptedControls } from '../../../environments/accepted.ts';
import { ruleTexts } from '../../../environments/catalogue.ts';
import { environments } from '../../../environments/index.ts';
import { controls, families } from '../../../pipeline/evidence/catalogue/index.ts';
import { lineOf } from '../../../pipeline/evidence/formats/sarif.ts';
import {
  type Framework,
  frameworkIds,
  frameworks,
  numberText,
} from '../../../pipeline/evidence/frameworks.ts';
import { catalogue } from '../../../verification/catalogue.ts';

describe('the catalogue of controls', () => {
  it('is the folder', async () => {
    const files = readdirSync('pipeline/evidence/catalogue').filter(
      (file) => !['index.ts', 'terms.ts'].includes(file),
    );
    const modules = await Promise.all(
      files.map((file) => import(`../../../pipeline/evidence/catalogue/${file}`)),
    );
    expect(modules.map(({ family }) => family.prefix).sort()).toEqual(
      families.map(({ prefix }) => prefix).sort(),
    );
  });

  it('has each id once, with the prefix of its family', () => {
    const ids = controls.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { prefix, controls: own } of families) {
      expect(own.filter(({ id }) => !id.startsWith(`${prefix}-`))).toEqual([]);
    }
    expect(catalogue.map(({ id }) => id).filter((id) => (ids as string[]).includes(id))).toEqual([]);
  });

  it('names rules about settings that exist', () => {
    const named = controls.flatMap(({ rules = [] }) => rules);
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((id) => !(id in ruleTexts))).toEqual([]);
  });

  it('names checks that exist', () => {
    const ids: string[] = catalogue.map(({ id }) => id);
    const named = controls.flatMap(({ checks = [] }) => checks);
    expect(named.length).toBeGreaterThan(80);
    expect(named.filter((id) => !ids.includes(id))).toEqual([]);
  });

  it('marks the numbers that were compared with nothing, each of which a control has', () => {
    for (const id of frameworkIds) {
      const { uncompared = [] }: Framework = frameworks[id];
      const numbers = uncompared === 'all' ? controls.flatMap(({ mapped }) => mapped[id] ?? []) : uncompared;
      for (const number of numbers) {
        expect(numberText(id, number)).toBe(`${number} (not compared)`);
        expect(
          controls.some(({ mapped }) => mapped[id]?.includes(number)),
          `${id} ${number}`,
        ).toBe(true);
      }
    }
    expect(numberText('nis2', '3.2.4')).toBe('3.2.4');
    expect(numberText('mcsb-v1', 'LT-3')).toBe('LT-3 (not compared)');
  });

  it('names settings that exist', () => {
    // Generated from the schema of the settings.
    const page = readFileSync('docs/settings.md', 'utf8');
    const lost = controls.filter(
      ({ setting }) =>
        setting !== undefined && !['`', '.', '['].some((end) => page.includes(`\`${setting}${end}`)),
    );
    expect(lost.map(({ id, setting }) => `${id} ${setting}`)).toEqual([]);
  });

  it('names settings that the file of production has', () => {
    const settings = readFileSync('test/support/settings/production.ts', 'utf8');
    const lost = controls.filter(
      ({ setting }) =>
        setting !== undefined && lineOf({ setting: setting.split('.')[0] ?? '' }, settings) === 1,
    );
    expect(lost.map(({ id, setting }) => `${id} ${setting}`)).toEqual([]);
  });

  it('gives evidence or names the person to ask for every control', () => {
    const empty = controls.filter(
      ({ stack, checks = [], records = [], unseen = [] }) =>
        stack.length + checks.length + records.length + unseen.length === 0,
    );
    expect(empty).toEqual([]);
  });

  it('maps to every framework, and to all of section 6 of CIS Database Services', () => {
    const mappedTo = (id: (typeof frameworkIds)[number]) =>
      controls.flatMap(({ mapped }) => mapped[id] ?? []);
    for (const id of frameworkIds) expect(mappedTo(id).length, id).toBeGreaterThan(4);
    const section = Array.from({ length: 11 }, (_, index) => `6.${index + 1}`);
    expect(section.filter((number) => !mappedTo('cis-database').includes(number))).toEqual([]);
  });

  it('writes numbers as their framework does', () => {
    const forms: Readonly<Record<(typeof frameworkIds)[number], RegExp>> = {
      'cis-database': /^6\.\d+$/,
      'cis-foundations': /^[5-9](\.\d+){1,3}$/,
      'mcsb-v1': /^(NS|IM|PA|DP|AM|LT|IR|PV|ES|BR|DS|GS)-\d+$/,
      'mcsb-v2': /^(NS|IM|PA|DP|AM|LT|IR|PV|ES|BR|DS|AI)-\d+$/,
      soc2: /^(CC[1-9]\.\d|A1\.\d|C1\.\d|PI1\.\d|P\d\.\d)$/,
      iso27001: /^A\.[5-8]\.\d+$/,
      nis2: /^\d+(\.\d+)+(\.[a-z]+)*$/,
      fedramp: /^KSI-[A-Z]{3}$/,
    };
    expect(Object.keys(forms)).toEqual(Object.keys(frameworks));
    const wrong = controls.flatMap(({ id, mapped }) =>
      frameworkIds.flatMap((one) =>
        (mapped[one] ?? [])
          .filter((number) => !forms[one].test(number))
          .map((number) => `${id} ${one} ${number}`),
      ),
    );
    expect(wrong).toEqual([]);
  });
});

describe('accepted controls', () => {
  const names: readonly string[] = environments.names;

  it('name controls and environments that exist, a reason, an owner and a day', () => {
    const ids: string[] = controls.map(({ id }) => id);
    expect(acceptedControls.length).toBeGreaterThan(0);
    for (const { control, environments: named = [], reason, owner, expires, confirmed } of acceptedControls) {
      expect(ids).toContain(control);
      expect(named.filter((one) => !names.includes(one))).toEqual([]);
      expect(reason.length).toBeGreaterThan(20);
      expect(owner).not.toBe('');
      for (const day of [expires, confirmed?.on ?? expires])
        expect(new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10)).toBe(day);
      if (confirmed) for (const one of [confirmed.by, confirmed.where]) expect(one).not.toBe('');
    }
  });

  it('are accepted once per environment', () => {
    const pairs = acceptedControls.flatMap((one) =>
      (one.environments ?? names).map((name) => `${name} ${one.control}`),
    );
    expect(new Set(pairs).size).toBe(pairs.length);
  });
});
