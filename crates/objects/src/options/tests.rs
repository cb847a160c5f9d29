use proptest::prelude::*;

use super::*;

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret-value"),
];

fn read(url: &str, vars: &[(&str, &str)]) -> Result<S3Settings, Vec<SettingFault>> {
    S3Settings::read(
        &Url::parse(url).unwrap(),
        &S3Options::from_vars(vars.iter().copied()),
    )
}

fn with_keys<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    KEYS.iter().chain(more).copied().collect()
}

fn faulty(url: &str, vars: &[(&str, &str)]) -> Vec<String> {
    let faults = read(url, vars).err().expect("faults");
    assert!(
        faults
            .iter()
            .all(|fault| !fault.to_string().contains("secret-value"))
    );
    faults.into_iter().map(|fault| fault.setting).collect()
}

fn hosts(url: &str, vars: &[(&str, &str)]) -> Vec<String> {
    let settings = read(url, vars).unwrap_or_else(|faults| panic!("{faults:?}"));
    settings
        .hosts()
        .unwrap()
        .iter()
        .map(HostRule::to_string)
        .collect()
}

#[test]
fn amazons_own_buckets_are_called_by_their_regional_name() {
    let vars = with_keys(&[("AWS_REGION", "eu-central-1")]);
    assert_eq!(
        hosts("s3://media/eu", &vars),
        ["media.s3.eu-central-1.amazonaws.com"]
    );
    assert_eq!(hosts("s3://my.media", &vars), ["s3.eu-central-1.amazonaws.com"]);
    let china = with_keys(&[("AWS_DEFAULT_REGION", "cn-north-1")]);
    assert_eq!(
        hosts("s3://media", &china),
        ["media.s3.cn-north-1.amazonaws.com.cn"]
    );
}

#[test]
fn another_server_is_called_as_its_setting_says() {
    let minio = with_keys(&[("AWS_ENDPOINT_URL", "https://minio.storage.svc:9000")]);
    assert_eq!(hosts("s3://media", &minio), ["minio.storage.svc:9000"]);
    let both = with_keys(&[
        ("AWS_ENDPOINT_URL", "https://other.example"),
        ("AWS_ENDPOINT_URL_S3", "https://s3.example"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
    ]);
    assert_eq!(hosts("s3://media", &both), ["media.s3.example"]);
    let named = with_keys(&[
        ("AWS_ENDPOINT_URL", "https://media.s3.example"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "TRUE"),
    ]);
    assert_eq!(hosts("s3://media", &named), ["media.s3.example"]);
    let here = with_keys(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")]);
    assert_eq!(hosts("s3://media", &here), ["127.0.0.1 on any port"]);
}

#[test]
fn a_web_identity_also_calls_the_token_service() {
    let vars = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("AWS_REGION", "eu-west-2"),
        ("AWS_DEFAULT_REGION", "eu-west-2"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
    ];
    assert_eq!(
        hosts("s3://media", &vars),
        ["media.s3.eu-west-2.amazonaws.com", "sts.eu-west-2.amazonaws.com"]
    );
}

#[test]
fn every_fault_is_listed_at_once() {
    let vars = [
        ("AWS_SECRET_ACCESS_KEY", "secret-value"),
        ("AWS_ROLE_ARN", "arn"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_PROFILE", "secret-value"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/"),
        ("AWS_ENDPOINT_URL", "http://minio.internal:9000"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "maybe"),
        ("AWS_SERVER_SIDE_ENCRYPTION", "rot13"),
    ];
    let mut settings = faulty("s3://A/b?c", &vars);
    settings.sort();
    settings.dedup();
    assert_eq!(
        settings,
        [
            "AWS_ACCESS_KEY_ID",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_ENDPOINT_URL",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_SERVER_SIDE_ENCRYPTION",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "DOMICILE_OBJECTS_URL",
        ]
    );
}

#[test]
fn what_is_missing_or_contradicts_is_named() {
    for (vars, fault) in [
        (vec![("AWS_REGION", "eu-west-1")], "AWS_ACCESS_KEY_ID"),
        (with_keys(&[]), "AWS_REGION"),
        (with_keys(&[("AWS_REGION", "")]), "AWS_REGION"),
        (with_keys(&[("AWS_REGION", "evil.example/")]), "AWS_REGION"),
        (
            vec![("AWS_ACCESS_KEY_ID", "id"), ("AWS_REGION", "r-1")],
            "AWS_SECRET_ACCESS_KEY",
        ),
        (
            with_keys(&[("AWS_REGION", "r-1"), ("AWS_ROLE_SESSION_NAME", "x")]),
            "AWS_ROLE_SESSION_NAME",
        ),
        (
            with_keys(&[("AWS_REGION", "r-1"), ("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")]),
            "AWS_SSE_KMS_KEY_ID",
        ),
        (
            with_keys(&[("AWS_REGION", "r-1"), ("AWS_SSE_KMS_KEY_ID", "x")]),
            "AWS_SSE_KMS_KEY_ID",
        ),
        (
            with_keys(&[
                ("AWS_ENDPOINT_URL", "https://10.1.2.3"),
                ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "1"),
            ]),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
        ),
        (
            with_keys(&[("AWS_ENDPOINT_URL", "https://s3.example/path")]),
            "AWS_ENDPOINT_URL",
        ),
        (
            with_keys(&[("AWS_ENDPOINT_URL", "https://u:secret-value@s3.example")]),
            "AWS_ENDPOINT_URL",
        ),
        (
            with_keys(&[("AWS_ENDPOINT_URL", "https://169.254.169.254")]),
            "AWS_ENDPOINT_URL",
        ),
    ] {
        assert_eq!(faulty("s3://media", &vars), [fault], "{vars:?}");
    }
    let vars = with_keys(&[("AWS_REGION", "r-1")]);
    for url in [
        "s3://",
        "s3://a",
        "s3://Ä",
        "s3://media:80/",
        "s3://u@media",
        "s3://media/a//b",
        "s3://media/a%20b",
    ] {
        assert_eq!(faulty(url, &vars), ["DOMICILE_OBJECTS_URL"], "{url}");
    }
}

#[test]
fn options_show_their_names_and_never_their_values() {
    let options = S3Options::from_vars(KEYS.into_iter().chain([("PATH", "/bin")]));
    assert_eq!(
        format!("{options:?}"),
        r#"{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}"#
    );
}

proptest! {
    #[test]
    fn no_url_or_value_panics_or_names_a_host_of_its_own(
        place in "\\PC{0,20}",
        values in proptest::collection::vec("\\PC{0,20}", READ.len()),
    ) {
        let vars: Vec<_> = READ.into_iter().zip(values.iter().map(String::as_str)).collect();
        if let Ok(url) = Url::parse(&format!("s3://{place}")) {
            let _ = S3Settings::read(&url, &S3Options::from_vars(vars));
        }
    }
}

#[test]
fn kms_is_called_where_its_own_setting_or_the_general_one_leads() {
    let endpoint = |vars: &[(&str, &str)]| S3Options::from_vars(vars.iter().copied()).kms_endpoint();
    assert_eq!(
        endpoint(&[("AWS_ENDPOINT_URL_S3", "https://s3.example")]).unwrap(),
        None
    );
    let general = ("AWS_ENDPOINT_URL", "https://all.example");
    let own = ("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:5000");
    let host = |vars: &[(&str, &str)]| endpoint(vars).unwrap().unwrap().to_string();
    assert_eq!(host(&[general]), "https://all.example/");
    assert_eq!(host(&[general, own]), "http://127.0.0.1:5000/");
    for wrong in [
        "http://kms.example",
        "https://kms.example/path",
        "kms",
        "https://u:secret-value@kms.example",
    ] {
        let error = endpoint(&[("AWS_ENDPOINT_URL_KMS", wrong)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("AWS_ENDPOINT_URL_KMS") && !error.contains("secret-value"),
            "{error}"
        );
    }
    assert!(read("s3://media", &with_keys(&[("AWS_REGION", "r-1"), own])).is_ok());
}

#[test]
fn credentials_alone_need_a_region_only_to_find_the_token_service() {
    let faults = |vars: &[(&str, &str)]| -> Vec<String> {
        let read = Credentials::read(&S3Options::from_vars(vars.iter().copied()));
        read.err()
            .unwrap_or_default()
            .into_iter()
            .map(|fault| fault.setting)
            .collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(faults(&KEYS), none);
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
    ];
    assert_eq!(faults(&identity), ["AWS_REGION"]);
    assert_eq!(
        faults(&[identity[0], identity[1], ("AWS_REGION", "eu-west-2")]),
        none
    );
    let sts = ("AWS_ENDPOINT_URL_STS", "https://sts.example");
    assert_eq!(faults(&[identity[0], identity[1], sts]), none);
    assert_eq!(faults(&[]), ["AWS_ACCESS_KEY_ID"]);
    assert_eq!(faults(&[KEYS[0], KEYS[1], ("AWS_PROFILE", "x")]), ["AWS_PROFILE"]);
}
