BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE cases (
	"case" VARCHAR NOT NULL, 
	dataset VARCHAR NOT NULL, 
	dataset_case VARCHAR NOT NULL, 
	label_set VARCHAR, 
	patient VARCHAR NOT NULL, 
	split VARCHAR, 
	phase VARCHAR, 
	n_i INTEGER NOT NULL, 
	n_j INTEGER NOT NULL, 
	n_k INTEGER NOT NULL, 
	affine TEXT NOT NULL, 
	scanner JSON NOT NULL, 
	origin VARCHAR(64) NOT NULL, 
	origin_stamp VARCHAR(64) NOT NULL, 
	ct_sha256 VARCHAR(64) NOT NULL, 
	voxels_sha256 VARCHAR(64) NOT NULL, 
	fingerprint TEXT NOT NULL, 
	duplicate_of VARCHAR, 
	stamp VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_cases PRIMARY KEY ("case")
);
INSERT INTO "cases" VALUES('one','made','one',NULL,'',NULL,'an old word',13,11,9,'[[-0.6882276754673157, 0.1140929920212318, 0.32865017886307624, -24.38219781460453], [-0.09754988117842095, -0.887413018022672, -0.22851572568576456, 27.29472875436777], [0.08262377020525646, -0.0973700396196688, 2.4677458586830974, -402.0177848462664], [0.0, 0.0, 0.0, 1.0]]','{"modality": null, "kernel": null, "series_description": null, "patient_position": null}','','','d9ee3b8429a9fdb928b79842f1b1eab4e4f9697a6ccfe9e156250e689529acbd','d9ee3b8429a9fdb928b79842f1b1eab4e4f9697a6ccfe9e156250e689529acbd','',NULL,'of old files');
CREATE TABLE labels (
	"case" VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	origin VARCHAR NOT NULL, 
	structure VARCHAR NOT NULL, 
	volume_ml FLOAT NOT NULL, 
	n_voxels INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_labels PRIMARY KEY ("case", kind, origin, structure), 
	CONSTRAINT fk_labels_case_cases FOREIGN KEY("case") REFERENCES cases ("case") ON DELETE CASCADE
);
INSERT INTO "labels" VALUES('one','original','','liver',0.93555,594,'0c282e58211fb7ef07950ed9cda431520fc5f098616d8474b9d7a7ebf86aaec0');
INSERT INTO "labels" VALUES('one','original','','aorta',0.0,0,'ddd828fbf61a02da1f1996cc8d65800daba309041adeffc60f43c6be70e346ec');
INSERT INTO "labels" VALUES('one','pseudo','ctatlas/base','liver',1.091475,693,'5');
INSERT INTO "labels" VALUES('one','pseudo','ctatlas/base','spleen',0.1701,108,'8');
INSERT INTO "labels" VALUES('one','revised','1','spleen',0.1134,72,'dacf1c86222e39b09b26a5f388d30251b053c0b48308e2e47df985c1b95a8958');
INSERT INTO "labels" VALUES('one','assembled','absent','aorta',0.0,0,'ddd828fbf61a02da1f1996cc8d65800daba309041adeffc60f43c6be70e346ec');
INSERT INTO "labels" VALUES('one','assembled','original','liver',0.93555,594,'0c282e58211fb7ef07950ed9cda431520fc5f098616d8474b9d7a7ebf86aaec0');
INSERT INTO "labels" VALUES('one','assembled','revised','spleen',0.1134,72,'dacf1c86222e39b09b26a5f388d30251b053c0b48308e2e47df985c1b95a8958');
CREATE TABLE revisions (
	"case" VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	author VARCHAR NOT NULL, 
	minutes FLOAT, 
	tool VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	created VARCHAR NOT NULL, 
	n_structures INTEGER NOT NULL, 
	CONSTRAINT pk_revisions PRIMARY KEY ("case", number), 
	CONSTRAINT fk_revisions_case_cases FOREIGN KEY("case") REFERENCES cases ("case") ON DELETE CASCADE
);
INSERT INTO "revisions" VALUES('one',1,'ann',2.5,'hand','','2026-01-01T00:00:00Z',1);
CREATE TABLE runs (
	"case" VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	member VARCHAR NOT NULL, 
	step_version INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	ctatlas VARCHAR NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY ("case", step, member), 
	CONSTRAINT fk_runs_case_cases FOREIGN KEY("case") REFERENCES cases ("case") ON DELETE CASCADE
);
INSERT INTO "runs" VALUES('one','predict','ctatlas/base',1,'key of ctatlas/base','');
INSERT INTO "runs" VALUES('one','attend','',1,'key of attend','0');
INSERT INTO "runs" VALUES('one','check','',1,'key of check','0');
INSERT INTO "runs" VALUES('one','assemble','',1,'91c025a8bfc82e9a4e01ab5fd003b3448da1f4d153c861ceb7b5f6fd3bde2ff4','0.1.0.dev0');
CREATE INDEX ix_cases_voxels_sha256 ON cases (voxels_sha256);
CREATE INDEX ix_cases_dataset ON cases (dataset);
CREATE INDEX ix_cases_patient ON cases (patient);
CREATE INDEX ix_cases_origin ON cases (origin);
CREATE INDEX ix_labels_kind_structure ON labels (kind, structure);
COMMIT;
