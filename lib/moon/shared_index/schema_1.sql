-- One index for many machines. Run by `moon-index --init-database` as a role that may create schemas and roles; `--print`
-- prints it. Every row belongs to a *source*: one agent of one machine. Tables are spread by it; a role sees the sources
-- that `moon.access` gives it, and no others.
--
-- Numbers of rows, sessions, segments and episodes begin with that of their source: source << 40 | …, and of an episode
-- source << 34 | …, so that row >> 6 is its episode and row >> 40 its source.

CREATE SCHEMA moon;

CREATE TABLE moon.meta (version integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid());
INSERT INTO moon.meta (version) VALUES (1);

CREATE TABLE moon.source (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host text COLLATE "C" NOT NULL, agent text COLLATE "C" NOT NULL,
    rows bigint NOT NULL DEFAULT 0, next_number bigint NOT NULL DEFAULT 1,
    UNIQUE (host, agent)
);
-- When a machine last sent something, by the clock of the database, and how many archives it still had to send then.
CREATE TABLE moon.machine (
    host text COLLATE "C" PRIMARY KEY, seen_at timestamptz NOT NULL, waiting bigint NOT NULL, rules text NOT NULL
);
-- Which sources a role sees and fills; `*` stands for every machine, or every agent of it.
CREATE TABLE moon.access (
    role name NOT NULL, host text COLLATE "C" NOT NULL, agent text COLLATE "C" NOT NULL, may_write boolean NOT NULL,
    PRIMARY KEY (role, host, agent)
);

CREATE TABLE moon.session (
    source integer NOT NULL, id bigint NOT NULL,
    session_id text COLLATE "C" NOT NULL, session_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (source, id), UNIQUE (source, session_id)
) PARTITION BY HASH (source);
CREATE INDEX ON moon.session (session_id);
CREATE INDEX ON moon.session (session_key);

CREATE TABLE moon.segment (
    source integer NOT NULL, id bigint NOT NULL, sha256 text COLLATE "C" NOT NULL, session bigint NOT NULL,
    archive_path text COLLATE "C" NOT NULL, rows bigint NOT NULL, rules text NOT NULL,
    PRIMARY KEY (source, id), UNIQUE (source, sha256)
) PARTITION BY HASH (source);
CREATE INDEX ON moon.segment (sha256);
CREATE INDEX ON moon.segment (source, session);

CREATE TABLE moon.span (
    source integer NOT NULL, first bigint NOT NULL, last bigint NOT NULL, segment bigint NOT NULL,
    lines_before integer NOT NULL,
    PRIMARY KEY (source, first)
) PARTITION BY HASH (source);
CREATE INDEX ON moon.span (source, segment);

CREATE TABLE moon.episode (
    source integer NOT NULL, id bigint NOT NULL, session bigint NOT NULL,
    first_at bigint NOT NULL, last_at bigint NOT NULL,
    PRIMARY KEY (source, id)
) PARTITION BY HASH (source);
CREATE INDEX ON moon.episode (source, session, id);
CREATE INDEX ON moon.episode (first_at, last_at);
CREATE INDEX ON moon.episode (last_at);

CREATE TABLE moon.message (
    source integer NOT NULL, id bigint NOT NULL, at bigint NOT NULL, line integer NOT NULL, digest integer NOT NULL,
    size integer NOT NULL, event text COLLATE "C" NOT NULL, role text COLLATE "C" NOT NULL,
    tool text COLLATE "C" NOT NULL, language text COLLATE "C" NOT NULL, body text COLLATE "C" NOT NULL,
    PRIMARY KEY (source, id)
) PARTITION BY HASH (source);
CREATE INDEX ON moon.message (event, source);

-- The words of a row, cut and stemmed by Moon, and one more lexeme that names its source.
CREATE TABLE moon.posting (
    source integer NOT NULL, id bigint NOT NULL, words tsvector NOT NULL,
    PRIMARY KEY (source, id)
) PARTITION BY HASH (source);
CREATE INDEX posting_words ON moon.posting USING gin (words);

-- In how many rows of a source a word stands.
CREATE TABLE moon.word (
    word text COLLATE "C" NOT NULL, source integer NOT NULL, rows bigint NOT NULL,
    PRIMARY KEY (word, source)
) PARTITION BY HASH (source);

CREATE TABLE moon.spoken (
    source integer NOT NULL, language text COLLATE "C" NOT NULL, rows bigint NOT NULL,
    PRIMARY KEY (source, language)
);

DO $partitions$
DECLARE
    name text;
    part integer;
BEGIN
    FOREACH name IN ARRAY '{session,segment,span,episode,message,posting,word}'::text[] LOOP
        FOR part IN 0 .. {partitions} - 1 LOOP
            EXECUTE format('CREATE TABLE moon.%I PARTITION OF moon.%I FOR VALUES WITH (MODULUS {partitions}, REMAINDER %s)',
                           name || '_' || part, name, part);
        END LOOP;
    END LOOP;
    -- A count changes often and no index has it: room on the page keeps such a change out of the indexes.
    FOR part IN 0 .. {partitions} - 1 LOOP
        EXECUTE format('ALTER TABLE moon.%I SET (fillfactor = 60)', 'word_' || part);
    END LOOP;
END
$partitions$;

-- Who may what. `session_user` is who logged in: inside a function that runs with its owner's rights, nothing else says it.

CREATE FUNCTION moon.sees_all() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM moon.access WHERE host = '*' AND agent = '*' AND pg_has_role(session_user, role, 'MEMBER')
    )
$$;

CREATE FUNCTION moon.visible() RETURNS integer[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT source.id), '{}')
    FROM moon.access JOIN moon.source
        ON access.host IN ('*', source.host) AND access.agent IN ('*', source.agent)
    WHERE pg_has_role(session_user, access.role, 'MEMBER')
$$;

CREATE FUNCTION moon.may_fill(host text, agent text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM moon.access
        WHERE may_write AND access.host IN ('*', $1) AND ($2 IS NULL OR access.agent IN ('*', $2))
            AND pg_has_role(session_user, access.role, 'MEMBER')
    )
$$;

CREATE FUNCTION moon.fillable() RETURNS integer[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT source.id), '{}')
    FROM moon.access JOIN moon.source
        ON access.host IN ('*', source.host) AND access.agent IN ('*', source.agent)
    WHERE may_write AND pg_has_role(session_user, access.role, 'MEMBER')
$$;

-- The search itself. It passes over row-level security, which would keep PostgreSQL from using the index of words, and
-- therefore asks `visible` itself. `wanted`: sources, NULL for all.
CREATE FUNCTION moon.find(
    wanted integer[], query tsquery, conditions jsonb, at_most integer
) RETURNS SETOF bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sources integer[] := moon.visible();
    joined text := '';
    limits text := '';
    sessions bigint[];
BEGIN
    IF wanted IS NOT NULL THEN
        sources := ARRAY(SELECT unnest(sources) INTERSECT SELECT unnest(wanted));
        -- Few sources: the index intersects by skipping.
        IF cardinality(sources) BETWEEN 1 AND 32 THEN
            query := query && (SELECT string_agg('''@' || source || '''', ' | ') FROM unnest(sources) AS source)::tsquery;
        END IF;
    END IF;
    IF conditions ? 'session' THEN
        SELECT array_agg(id) INTO sessions FROM moon.session
        WHERE session.source = ANY (sources) AND conditions->>'session' IN (session_key, session_id);
        joined := ' JOIN moon.episode ON episode.source = posting.source AND episode.id = posting.id >> 6';
        limits := format(' AND episode.session = ANY (%L::bigint[])', coalesce(sessions, '{}'));
    END IF;
    IF conditions ?| '{roles,tools,since,until}' THEN
        joined := joined || ' JOIN moon.message ON message.source = posting.source AND message.id = posting.id';
        IF conditions ? 'roles' THEN
            limits := limits || format(' AND lower(role) = ANY (%L::text[])', ARRAY(SELECT jsonb_array_elements_text(conditions->'roles')));
        END IF;
        IF conditions ? 'tools' THEN
            limits := limits || format(' AND lower(tool) = ANY (%L::text[])', ARRAY(SELECT jsonb_array_elements_text(conditions->'tools')));
        END IF;
        IF conditions ? 'since' THEN
            limits := limits || format(' AND message.at >= %s', (conditions->>'since')::bigint);
        END IF;
        IF conditions ? 'until' THEN
            limits := limits || format(' AND message.at < %s', (conditions->>'until')::bigint);
        END IF;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT posting.id FROM moon.posting%s WHERE posting.source = ANY (%L::integer[])%s%s ORDER BY posting.id DESC LIMIT %s',
        joined, sources, CASE WHEN query IS NULL THEN '' ELSE format(' AND words @@ %L::tsquery', query) END, limits, at_most
    );
END
$$;

-- Words that may be this one with some slips. Without pg_trgm nothing (`moon.has_trigrams`).
CREATE FUNCTION moon.has_trigrams() RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')
$$;

CREATE FUNCTION moon.like_word(wanted text, slips integer, at_most integer)
RETURNS TABLE (word text, rows bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text;
BEGIN
    SELECT nspname INTO place FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_trgm';
    IF place IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('pg_trgm.similarity_threshold', '0.12', true);
    RETURN QUERY EXECUTE format(
        'SELECT word.word, sum(word.rows)::bigint FROM moon.word '
        'WHERE word.word OPERATOR(%1$I.%%) $1 AND source = ANY (moon.visible()) AND word.rows > 0 '
        'AND left(word.word, 1) = left($1, 1) AND length(word.word) BETWEEN length($1) - $2 AND length($1) + $2 '
        'GROUP BY word.word ORDER BY %1$I.similarity(word.word, $1) DESC LIMIT $3', place
    ) USING wanted, slips, at_most;
END
$$;

-- Lets a role see, and with `may_write` fill, agents of a machine; run by whoever administers the index.
CREATE FUNCTION moon.allow(who name, host text, agent text DEFAULT '*', may_write boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO moon.access VALUES ($1, $2, $3, $4)
    ON CONFLICT (role, host, agent) DO UPDATE SET may_write = excluded.may_write;
    EXECUTE format('GRANT %I TO %I', CASE WHEN $4 THEN 'moon_writer' ELSE 'moon_reader' END, who);
END
$$;

DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'moon_reader') THEN
        CREATE ROLE moon_reader NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'moon_writer') THEN
        CREATE ROLE moon_writer NOLOGIN;
    END IF;
    GRANT moon_reader TO moon_writer;
END
$roles$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA moon FROM PUBLIC;
GRANT USAGE ON SCHEMA moon TO moon_reader;
GRANT EXECUTE ON FUNCTION moon.sees_all(), moon.visible(), moon.may_fill(text, text), moon.fillable(), moon.has_trigrams(),
    moon.find(integer[], tsquery, jsonb, integer), moon.like_word(text, integer, integer) TO moon_reader;
GRANT SELECT ON moon.meta, moon.source, moon.machine, moon.session, moon.segment, moon.span, moon.episode, moon.message,
    moon.posting, moon.word, moon.spoken TO moon_reader;
GRANT INSERT, UPDATE, DELETE ON moon.source, moon.machine, moon.session, moon.segment, moon.span, moon.episode,
    moon.message, moon.posting, moon.word, moon.spoken TO moon_writer;

DO $security$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{session,segment,span,episode,message,posting,word,spoken}'::text[] LOOP
        EXECUTE format('ALTER TABLE moon.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY seen ON moon.%I FOR SELECT TO moon_reader USING '
                       '((SELECT moon.sees_all()) OR source = ANY ((SELECT moon.visible())::integer[]))', name);
        EXECUTE format('CREATE POLICY filled ON moon.%I TO moon_writer USING (source = ANY ((SELECT moon.fillable())::integer[])) '
                       'WITH CHECK (source = ANY ((SELECT moon.fillable())::integer[]))', name);
    END LOOP;
END
$security$;
ALTER TABLE moon.source ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON moon.source FOR SELECT TO moon_reader USING (id = ANY ((SELECT moon.visible())::integer[]));
CREATE POLICY filled ON moon.source TO moon_writer
    USING (id = ANY ((SELECT moon.fillable())::integer[])) WITH CHECK (moon.may_fill(host, agent));
ALTER TABLE moon.machine ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON moon.machine FOR SELECT TO moon_reader
    USING (EXISTS (SELECT FROM moon.source WHERE source.host = machine.host));
CREATE POLICY filled ON moon.machine TO moon_writer USING (moon.may_fill(host, NULL)) WITH CHECK (moon.may_fill(host, NULL));
ALTER TABLE moon.access ENABLE ROW LEVEL SECURITY;
