/** Rows of two tenants, and statements against them as the application role: the tools of the live probe. */

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { messageOf } from '../core/text.ts';
import { sqlState } from '../database/diagnosis.ts';
import { month, parseBounds } from '../database/maintain/months.ts';
import { adminRole } from '../database/schema/roles.ts';
import { attempt } from '../database/transaction.ts';
import type { Finding } from './check.ts';
import { modelOf, tenantRole } from './model.ts';
import type { ProbedTable } from './probed-tables.ts';
import type { Relation, Snapshot } from './snapshot/snapshot.ts';

/** Findings of one part of the probe, or the reason why it proved nothing. */
export type Part =
  | { readonly tried: number; readonly findings: readonly Finding[] }
  | { readonly skipped: string /** A standby takes no writes. */; readonly standby?: true };

/** The end of a statement: it ran, or the server refused it for want of a privilege. */
type Ended = { readonly rows: readonly Record<string, unknown>[]; readonly count: number } | 'refused';

const insufficientPrivilege = '42501';

/** Literals, because a statement and its savepoint travel in one message, which takes no parameters. */
export const quote = pg.escapeLiteral;

export class Probe {
  readonly #client: pg.Client;
  readonly snapshot: Snapshot;
  /** Every tenant table; after `plant`, those with rows of both tenants. */
  tables: readonly ProbedTable[];
  /** Why a table that administrators may write accepts no row of a tenant. */
  #unplanted: string | undefined;
  readonly #mark = `verify-${randomBytes(6).toString('hex')}`;
  readonly mine = `${this.#mark}-a`;
  readonly theirs = `${this.#mark}-b`;
  /** Tenants without a row, for inserts into tables with one row per tenant. */
  readonly fresh = { mine: `${this.#mark}-c`, theirs: `${this.#mark}-d` };
  #tried = 0;
  #findings: Finding[] = [];

  constructor(client: pg.Client, snapshot: Snapshot, tables: readonly ProbedTable[]) {
    this.#client = client;
    this.snapshot = snapshot;
    this.tables = tables;
  }

  /** Writes a row of both tenants into every table that administrators may write; triggers write the audit trail. */
  async plant(): Promise<void> {
    await this.become(adminRole);
    const planted: ProbedTable[] = [];
    for (const table of this.tables) {
      const rows = [this.mine, this.theirs].flatMap((tenant) => table.insert(adminRole, tenant) ?? []);
      const result = await attempt(this.#client, () => this.#client.query(rows.join('; ')));
      if ('value' in result) planted.push(table);
      else if (sqlState(result.refused) === undefined) throw result.refused;
      else this.#unplanted ??= `${table.name} accepts no row of a tenant: ${result.refused.message}`;
    }
    this.tables = planted;
    await this.become(tenantRole);
  }

  /** Runs one part as the application role. */
  async section(part: (probe: Probe) => Promise<void>): Promise<Part> {
    this.#tried = 0;
    this.#findings = [];
    await this.#client.query('SAVEPOINT section');
    try {
      await part(this);
      const findings = this.#findings;
      // Without rows in every table, an attempt without a finding proves nothing.
      if (findings.length === 0 && this.#unplanted !== undefined) throw new Unproven(this.#unplanted);
      return { tried: this.#tried, findings };
    } catch (error) {
      if (sqlState(error) === undefined && !(error instanceof Unproven)) throw error;
      return { skipped: `could not be tried: ${messageOf(error)}` };
    } finally {
      await this.#client.query('ROLLBACK TO SAVEPOINT section; RELEASE SAVEPOINT section');
    }
  }

  async become(role: string): Promise<void> {
    await this.#client.query(`SET LOCAL ROLE ${pg.escapeIdentifier(role)}`);
  }

  /** Sets the tenant of the transaction. */
  async tenant(name: string): Promise<void> {
    await this.#client.query("SELECT set_config('app.current_tenant_id', $1, true)", [name]);
  }

  /** Runs a statement, and undoes it if the server refuses it. @throws Unproven for any other error */
  async attempt(sql: string): Promise<Ended> {
    this.#tried += 1;
    try {
      // One message for three statements, because round trips dominate the time of the probe.
      const results: unknown = await this.#client.query(
        `SAVEPOINT attempt; ${sql}; RELEASE SAVEPOINT attempt`,
      );
      const [, result] = results as pg.QueryResult[];
      return { rows: result?.rows ?? [], count: result?.rowCount ?? 0 };
    } catch (error) {
      if (sqlState(error) === undefined) throw error;
      await this.#client.query('ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt');
      if (sqlState(error) === insufficientPrivilege) return 'refused';
      throw new Unproven(`${sql.replace(/\s+/g, ' ').slice(0, 60)}… failed: ${messageOf(error)}`);
    }
  }

  find(object: string, detail: string): void {
    this.#findings.push({ object, detail });
  }

  /** A statement that the server must refuse. */
  async mustRefuse(object: string, deed: string, sql: string): Promise<void> {
    if ((await this.attempt(sql)) !== 'refused') this.find(object, `${tenantRole} can ${deed}`);
  }

  /** A statement that must touch or return no row, or be refused. */
  async mustMiss(object: string, deed: string, sql: string): Promise<void> {
    const end = await this.attempt(sql);
    if (end === 'refused') return;
    const rows =
      end.rows.length === 1 && 'rows' in (end.rows[0] ?? {}) ? Number(end.rows[0]?.['rows']) : end.count;
    if (rows > 0) this.find(object, `${tenantRole} can ${deed}: ${rows} ${rows === 1 ? 'row' : 'rows'}`);
  }

  /** The leaf of the current month of each partitioned table. */
  currentLeaves(): readonly { readonly leaf: Relation; readonly parent: Relation }[] {
    const model = modelOf(this.snapshot);
    const now = this.snapshot.server.now;
    return model.partitioned.flatMap((parent) => {
      const leaf = model
        .leavesOf(parent)
        .find(({ bound }) => parseBounds(bound)?.from.getTime() === month(now).getTime());
      return leaf ? [{ leaf, parent }] : [];
    });
  }
}

/** The server refused a statement for a reason that proves nothing. */
export class Unproven extends Error {}
