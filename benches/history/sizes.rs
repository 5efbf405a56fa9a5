//! What a row takes on disk, and each of its indexes.

use crate::{Result, lab::Lab};

/// Bytes per row of the table and of each index, over all days that hold rows.
const SIZES: &str = "
    with day as (
        select relid, reltuples::float8 as tuples from pg_partition_tree('task_history')
        join pg_class on oid = relid where isleaf and reltuples > 0
    ), total as (select sum(tuples) as tuples from day),
    part as (
        select ' table' as name, pg_table_size(relid) as bytes from day
        union all
        select parent.relname, pg_relation_size(own.indexrelid)
        from day join pg_index own on indrelid = relid
        join pg_inherits on inhrelid = own.indexrelid join pg_class parent on parent.oid = inhparent
    )
    select name, sum(bytes)::float8 as bytes, sum(bytes)::float8 / total.tuples as per_row,
        total.tuples
    from part, total group by name, total.tuples order by name";

pub(crate) async fn print(lab: &Lab) -> Result<()> {
    let rows = lab.client.query(SIZES, &[]).await?;
    let counted = rows.first().map_or(0.0, |row| row.get::<_, f64>(3));
    println!("{:.1} million rows{:>26}{:>16}", counted / 1e6, "MB", "bytes per row");
    for row in &rows {
        let (name, bytes): (&str, f64) = (row.get(0), row.get(1));
        println!("{name:<32}{:>12.0}{:>16.1}", bytes / 1e6, row.get::<_, f64>(2));
    }
    let sums = "select resolution, count(*), (sum(pg_column_size(t.*)) / count(*))::bigint from (
        select 'rollup ' || resolution as resolution, bins, bin_calls, upstream from task_rollup
        union all select 'total ' || resolution, bins, bin_calls, upstream from task_total) t
        group by 1 order by 1";
    for row in lab.client.query(sums, &[]).await? {
        println!("{:<32}{:>12} rows", row.get::<_, &str>(0), row.get::<_, i64>(1));
    }
    println!();
    Ok(())
}
