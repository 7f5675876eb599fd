"""gazetteer.main_number: the number in a house number, for indexes that put plates in order."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# 12 of 自编12号之三, 12-3号, １２号 and 十二号; 0 where there is none. Numbers that say more than
# this are told apart by the grammar of `gazetteer`; this only has to put them side by side.
FUNCTION = """
CREATE FUNCTION gazetteer.main_number(number text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    found text := substring(number FROM '[0-9]{1,9}');
    total integer := 0;
    digit integer;
    symbol text;
BEGIN
    IF found IS NOT NULL THEN RETURN found::integer; END IF;
    IF number IS NULL OR number = '' THEN RETURN 0; END IF;
    found := substring(translate(number, '０１２３４５６７８９', '0123456789') FROM '[0-9]{1,9}');
    IF found IS NOT NULL THEN RETURN found::integer; END IF;
    found := substring(number FROM '[〇零一二三四五六七八九十百千两]{1,9}');
    IF found IS NULL THEN RETURN 0; END IF;
    IF found !~ '[十百千]' THEN
        RETURN translate(found, '〇零一二三四五六七八九两', '001234567892')::integer;
    END IF;
    FOREACH symbol IN ARRAY string_to_array(found, NULL) LOOP
        IF symbol IN ('十', '百', '千') THEN
            total := total + coalesce(digit, 1)
                * CASE symbol WHEN '十' THEN 10 WHEN '百' THEN 100 ELSE 1000 END;
            digit := NULL;
        ELSE
            digit := translate(symbol, '〇零一二三四五六七八九两', '001234567892')::integer;
        END IF;
    END LOOP;
    RETURN total + coalesce(digit, 0);
END $$
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(FUNCTION)
    op.execute(
        "COMMENT ON FUNCTION gazetteer.main_number(text) IS"
        " 'main number of a house number, 0 where there is none'"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION gazetteer.main_number(text) CASCADE")
