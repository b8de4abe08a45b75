"""Names are sorted and found without accents, case, hyphens or the order of their words."""

import sqlalchemy as sa
from alembic import op

from core.platform.db.rls import protect

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# The twin of core.domain.names.folded. Ranges instead of classes, and a collation by code points:
# another machine's locale must not change what is stored.
FOLDED = r"""
CREATE FUNCTION folded(name text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN btrim(
    regexp_replace(
        translate(
            replace(replace(replace(replace(
                lower(regexp_replace(
                    normalize(name, NFKD),
                    '[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]', '', 'g'
                )),
                'œ', 'oe'), 'æ', 'ae'), 'ß', 'ss'), 'þ', 'th'),
            'øłđðħıŧς', 'olddhitσ'
        ),
        '[\u0001-/:-@\[-`{-\u00bf\u02b0-\u02ff\u2010-\u206f\u3000-\u303f]+', ' ', 'g'
    ),
    ' '
)
"""

# A word each, neighbours as one (Le Goff, Legoff), and particles with what follows (De La Tour).
# A loop: as one query it takes ten times as long, which a first import would feel.
WORDS = """
CREATE FUNCTION name_words(folded text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    parts text[] := (string_to_array(folded, ' '))[1:20];
    found text[] := '{}';
BEGIN
    FOR n IN 1..cardinality(parts) LOOP
        found := found || left(parts[n], 100);
        IF n < cardinality(parts) THEN
            found := found || left(parts[n] || parts[n + 1], 100);
        END IF;
        IF n < cardinality(parts) - 1 AND length(parts[n] || parts[n + 1]) <= 4 THEN
            found := found || left(parts[n] || parts[n + 1] || parts[n + 2], 100);
        END IF;
    END LOOP;
    RETURN found;
END
$$
"""

# Kept by PostgreSQL, so that no import, page or merging can forget a name or leave one behind.
KEEP = """
CREATE FUNCTION keep_{table}_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {table}_word (tenant_id, word, {table}_id)
        SELECT a.tenant_id, word, a.id FROM after a, unnest(name_words(a.{column})) word
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM {table}_word w USING before b, after a
        WHERE a.tenant_id = b.tenant_id AND a.id = b.id AND a.{column} <> b.{column}
          AND w.tenant_id = b.tenant_id AND w.{table}_id = b.id;
        INSERT INTO {table}_word (tenant_id, word, {table}_id)
        SELECT a.tenant_id, word, a.id
        FROM after a JOIN before b ON b.tenant_id = a.tenant_id AND b.id = a.id,
             unnest(name_words(a.{column})) word
        WHERE a.{column} <> b.{column}
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$
"""
TRIGGERS = {
    "INSERT": "NEW TABLE AS after",
    "UPDATE": "OLD TABLE AS before NEW TABLE AS after",
}
NAMES = {"family": ("name", "name_folded"), "child": ("label", "label_folded")}


def upgrade() -> None:
    op.execute(FOLDED)
    op.execute(WORDS)
    for table, (name, column) in NAMES.items():
        op.add_column(
            table,
            sa.Column(
                column,
                sa.Text(collation="C"),
                sa.Computed(f"folded({name})", persisted=True),
                nullable=False,
                comment="see core.domain.names",
            ),
        )
        op.create_table(
            f"{table}_word",
            sa.Column("tenant_id", sa.String(length=63), nullable=False),
            sa.Column("word", sa.Text(collation="C"), nullable=False),
            sa.Column(f"{table}_id", sa.BigInteger(), nullable=False),
            sa.ForeignKeyConstraint(
                ["tenant_id"], ["tenant.id"], name=op.f(f"fk_{table}_word_tenant_id_tenant")
            ),
            sa.ForeignKeyConstraint(
                ["tenant_id", f"{table}_id"],
                [f"{table}.tenant_id", f"{table}.id"],
                name=op.f(f"fk_{table}_word_tenant_id_{table}"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint(
                "tenant_id", "word", f"{table}_id", name=op.f(f"pk_{table}_word")
            ),
        )
        op.create_index(
            op.f(f"ix_{table}_word_tenant_id_{table}_id"),
            f"{table}_word",
            ["tenant_id", f"{table}_id"],
        )
        protect(f"{table}_word")
        for what in (table, f"{table}_word"):
            op.execute(f"ALTER TABLE {what} NO FORCE ROW LEVEL SECURITY")
        op.execute(
            f"INSERT INTO {table}_word (tenant_id, word, {table}_id)"
            f" SELECT t.tenant_id, word, t.id FROM {table} t, unnest(name_words(t.{column})) word"
            " ON CONFLICT DO NOTHING"
        )
        for what in (table, f"{table}_word"):
            op.execute(f"ALTER TABLE {what} FORCE ROW LEVEL SECURITY")
        op.execute(KEEP.format(table=table, column=column))
        for way, seen in TRIGGERS.items():
            op.execute(
                f"CREATE TRIGGER words_{way.lower()} AFTER {way} ON {table}"
                f" REFERENCING {seen} FOR EACH STATEMENT EXECUTE FUNCTION keep_{table}_words()"
            )
    op.create_index(
        "ix_family_by_name",
        "family",
        ["tenant_id", "name_folded", "code"],
        postgresql_where=sa.text("merged_into IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_family_by_name", table_name="family")
    for table, (_name, column) in NAMES.items():
        for way in TRIGGERS:
            op.execute(f"DROP TRIGGER words_{way.lower()} ON {table}")
        op.execute(f"DROP FUNCTION keep_{table}_words()")
        op.drop_table(f"{table}_word")
        op.drop_column(table, column)
    op.execute("DROP FUNCTION name_words(text)")
    op.execute("DROP FUNCTION folded(text)")
