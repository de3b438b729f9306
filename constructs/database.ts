import { PostgresqlFlexibleServerDatabase } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-database/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { IFlexibleServer } from './server.ts';

export interface DatabaseProps {
  readonly name: string;
  readonly server: IFlexibleServer;
  readonly charset: string;
  /** `en_US.utf8` in this spelling: to azurerm, another case is another collation and replaces the database. */
  readonly collation: string;
  readonly after: readonly ITerraformDependable[];
}

/** An empty database: the migrations fill it. A change of any argument replaces it. */
export class Database extends Construct {
  readonly id: string;
  readonly name: string;
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: DatabaseProps) {
    super(scope, id);
    const database = new PostgresqlFlexibleServerDatabase(this, 'Default', {
      name: props.name,
      serverId: props.server.id,
      charset: props.charset,
      collation: props.collation,
      dependsOn: [...props.after],
    });
    this.id = database.id;
    this.name = database.name;
    this.resource = database;
  }
}
