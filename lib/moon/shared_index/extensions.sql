-- What is better with an extension, where it can be had: words for mistyped ones. Run each time the index is looked after.
DO $extensions$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    EXECUTE format('CREATE INDEX IF NOT EXISTS word_trigrams ON moon.word USING gin (word %I.gin_trgm_ops)',
                   (SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_trgm'));
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'without pg_trgm fewer mistyped words are corrected: %', SQLERRM;
END
$extensions$;
