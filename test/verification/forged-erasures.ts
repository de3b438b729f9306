/** Ways to remove content from the audit trail past an erasure, or by an erasure that has no right to. */
import type { Forgery } from './forgeries.ts';

const hash = `encode(sha256(convert_to(jsonb_build_array(old_values, new_values)::text, 'UTF8')), 'hex')`;
const metrics = `table_name = 'model_metrics' AND operation = 'INSERT'`;
/** As a genuine erasure of one audit row does. */
const erase = (condition: string) =>
  `SELECT llama.erase_audit_content(ARRAY[a.tenant_id::text], ARRAY[a.id], ARRAY[a."timestamp"], 'retention')
     FROM llama.audit_trail AS a WHERE ${condition} ORDER BY a.sequence LIMIT 1`;
const blank = (erasure: string, condition: string, erasedHash = hash) =>
  `UPDATE llama.audit_trail SET erased_by = ${erasure}, erased_hash = ${erasedHash}, old_values = NULL, new_values = NULL
    WHERE new_values IS NOT NULL AND ${condition}`;
const anyErasure = "(SELECT e.id FROM llama.audit_trail AS e WHERE e.operation = 'ERASE')";
const id = "'00000000-0000-4000-8000-000000000001'";

export const forgedErasures: readonly Forgery[] = [
  {
    name: 'the role of erasures removes content without an erasure',
    steps: [
      ['maintenance_owner', `UPDATE llama.audit_trail SET erased_by = gen_random_uuid() WHERE ${metrics}`],
    ],
    tampering: ['forged erasure'],
    checks: ['AUD-028'],
  },
  {
    name: 'the role of erasures replaces content',
    steps: [['maintenance_owner', `UPDATE llama.audit_trail SET erased_by = ${id}, new_values = '{}'`]],
    refused: '42501',
  },
  {
    name: 'the role of erasures replaces a hash',
    steps: [['maintenance_owner', `UPDATE llama.audit_trail SET erased_hash = 'x'`]],
    refused: '42501',
  },
  {
    name: 'the role of erasures deletes an audit row',
    steps: [['maintenance_owner', 'DELETE FROM llama.audit_trail']],
    refused: '42501',
  },
  {
    name: 'an administrator removes content',
    steps: [['admin_role', `UPDATE llama.audit_trail SET erased_by = ${id}`]],
    refused: '42501',
  },
  {
    name: 'an administrator calls the function that removes content',
    steps: [['admin_role', erase(metrics)]],
    refused: '42501',
  },
  {
    name: 'an administrator records an erasure',
    steps: [['admin_role', `SELECT llama.record_erasure(${id}, 'alpha', {m}, 'tenant', 1, 'x')`]],
    refused: '42501',
  },
  {
    name: 'an administrator erases the trail of a tenant that exists',
    steps: [['admin_role', "SELECT llama.erase_audit_of_tenant('alpha')"]],
    refused: '55000',
  },
  {
    name: 'an administrator erases the trail of the platform',
    steps: [['admin_role', "SELECT llama.erase_audit_of_tenant('')"]],
    refused: '22023',
  },
  {
    name: 'the owner gives itself a policy and removes content',
    steps: [
      [
        'llama_owner',
        `CREATE POLICY slip ON llama.audit_trail TO llama_owner USING (true); UPDATE llama.audit_trail SET erased_by = ${id}`,
      ],
    ],
    refused: '42501',
  },
  {
    name: 'content is removed behind silent triggers, with the right hash',
    steps: [['replica', blank('gen_random_uuid()', metrics)]],
    tampering: ['forged erasure'],
    checks: ['AUD-028'],
  },
  {
    name: 'content is removed behind silent triggers, with a wrong hash',
    steps: [['replica', blank('gen_random_uuid()', metrics, "repeat('0', 64)")]],
    tampering: ['changed row', 'forged erasure'],
    checks: ['AUD-011', 'AUD-028'],
  },
  {
    name: 'content is removed behind silent triggers, without a hash',
    steps: [['replica', `UPDATE llama.audit_trail SET new_values = NULL WHERE ${metrics}`]],
    tampering: ['changed row'],
    checks: ['AUD-011'],
  },
  {
    name: 'the hash takes the place of content behind silent triggers, and names no erasure',
    steps: [
      [
        'replica',
        `UPDATE llama.audit_trail SET erased_hash = ${hash}, old_values = NULL, new_values = NULL WHERE ${metrics}`,
      ],
    ],
    tampering: ['forged erasure'],
    checks: ['AUD-028'],
  },
  {
    name: 'a row names an erasure and keeps its content behind silent triggers',
    steps: [['replica', `UPDATE llama.audit_trail SET erased_by = ${id} WHERE ${metrics}`]],
    tampering: ['forged erasure'],
    checks: ['AUD-028'],
  },
  {
    name: 'other content takes the place of removed content',
    steps: [
      [
        'replica',
        `UPDATE llama.audit_trail SET erased_by = ${id}, erased_hash = ${hash}, new_values = '{}' WHERE ${metrics}`,
      ],
    ],
    tampering: ['changed row', 'forged erasure'],
    checks: ['AUD-011', 'AUD-028'],
  },
  {
    name: 'content of a record that exists is erased as if it were past retention',
    steps: [['maintenance_owner', erase("table_name = 'storage_records'  AND operation = 'INSERT'")]],
    tampering: ['forged erasure'],
    row: `operation = 'ERASE' AND new_values ->> 'reason' = 'retention'`,
  },
  {
    name: 'content is added to an erasure',
    steps: [
      ['maintenance_owner', erase(metrics)],
      [
        'maintenance_owner',
        `UPDATE llama.audit_trail SET erased_by = ${anyErasure} WHERE ${metrics} AND erased_by IS NULL`,
      ],
    ],
    tampering: ['forged erasure'],
    row: `operation = 'ERASE'`,
  },
  {
    name: 'an erasure is invented for removed content',
    steps: [
      [
        'audit_writer',
        `INSERT INTO llama.audit_trail (id, tenant_id, table_name, operation, record_key, new_values)
         VALUES (${id}, 'alpha', 'audit_trail', 'ERASE', 'x', '{"rows": 1, "reason": "retention"}')`,
      ],
      ['maintenance_owner', `UPDATE llama.audit_trail SET erased_by = ${id} WHERE ${metrics}`],
    ],
    tampering: ['forged erasure'],
    row: `operation = 'ERASE'`,
  },
  {
    name: 'the mark of an erasure is removed',
    steps: [
      ['maintenance_owner', erase(metrics)],
      ['replica', 'UPDATE llama.audit_trail SET erased_by = NULL, erased_hash = NULL'],
    ],
    tampering: ['changed row', 'forged erasure'],
    checks: ['AUD-011'],
  },
  {
    name: 'the row of an erasure is removed',
    steps: [
      ['maintenance_owner', erase(metrics)],
      ['replica', "DELETE FROM llama.audit_trail WHERE operation = 'ERASE'"],
    ],
    tampering: ['forged erasure'],
    checks: ['AUD-028'],
  },
  {
    name: 'the guard of audit rows is dropped',
    steps: [['llama_owner', 'DROP TRIGGER append_only ON llama.audit_trail']],
    checks: ['AUD-004'],
  },
  {
    name: 'the role of erasures may change users of audit rows',
    steps: [['llama_owner', 'GRANT UPDATE (user_id) ON llama.audit_trail TO maintenance_owner']],
    checks: ['AUD-003'],
  },
];
