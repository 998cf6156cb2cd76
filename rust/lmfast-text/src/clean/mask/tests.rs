use proptest::prelude::*;

use super::*;

fn masked(text: &str) -> String {
    apply(text.into(), &Mask::ALL, &mut [0; 5]).into_owned()
}

#[test]
fn every_expression_is_one() {
    assert!(Mask::ALL.iter().all(|kind| kind.expression().is_some()));
    assert_eq!(masked("-----BEGIN PRIVATE KEY-----\nMIIE"), "<SECRET>");
}

#[test]
fn what_is_masked() {
    let key = format!("ghp_{}", "a1B2".repeat(9));
    for (text, expected) in [
        ("write to jane.doe+x@mail.example.co.uk.", "write to <EMAIL>."),
        ("..jane@example.org", "..<EMAIL>"),
        ("call +44 20 7946 0958 or (555) 123-4567, 555-123-4567", "call <PHONE> or <PHONE>, <PHONE>"),
        ("+44 20 7946 0958 2024 11 25 07", "<PHONE> 2024 11 25 07"),
        ("id AKIAIOSFODNN7EXAMPLE", "id <SECRET>"),
        (key.as_str(), "<SECRET>"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY;", "<SECRET>;"),
        ("MY_AWS_SECRET_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY;", "MY_<SECRET>;"),
    ] {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn what_is_not() {
    for text in [
        "300.1.1.1 and 1.2.3.4.5 are no addresses",
        "std::vec and 12:30:45 and a::b",
        "1:2:3:4:5:6:7:8:9 has a group too many",
        "4111 1111 1111 1112 fails the check, 0000000000000000 too",
        "a4111111111111111 and 4111111111111111b are of words",
        "pages 1990-2000, 3.14159265358979",
        "task-abcdefghijklmnopqrstuvwxyz",
        "sk-learn-compatible-estimators, sk-internationalization-and-localization",
        "@handle and a @ b",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn cards_beside_other_numbers() {
    for (text, expected) in [
        ("card 4111 1111 1111 1111 and 5500-0000-0000-0004", "card <CARD> and <CARD>"),
        ("12 4111 1111 1111 1111", "12 <CARD>"),
        ("4111111111111111 99", "<CARD> 99"),
        ("4111 1111 1111 1111 123", "<CARD> 123"),
        ("2024-11-25 4111-1111-1111-1111-2027-01", "2024-11-25 <CARD>-2027-01"),
        ("1 2 3 3782 822463 10005 4 5", "1 2 3 <CARD> 4 5"),
        ("4111111111111111 5500000000000004 30569309025904", "<CARD> <CARD> <CARD>"),
        ("41-11-11-11-11-11-11-11", "<CARD>"),
        (
            "\u{201c}4111 1111 1111 1111\u{201d}, \u{5361}4111111111111111\u{3002}",
            "\u{201c}<CARD>\u{201d}, \u{5361}<CARD>\u{3002}",
        ),
    ] {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn addresses_beside_other_characters() {
    for (text, expected) in [
        ("at 192.168.0.1, or 2001:db8::8a2e:370:7334!", "at <IP>, or <IP>!"),
        ("2001:db8::8a2e:370:7334: unreachable", "<IP>: unreachable"),
        ("from 2001:db8::1.", "from <IP>."),
        ("2001:db8::: none", "<IP>: none"),
        ("name:2001:db8::1 host:10.0.0.1:8080 see.10.0.0.1", "name:<IP> host:<IP>:8080 see.<IP>"),
        ("[::ffff:10.0.0.1]:443", "[<IP>]:443"),
        ("10.0.0.1.\n10.0.0.2:\n10.0.0.3/8", "<IP>.\n<IP>:\n<IP>/8"),
    ] {
        assert_eq!(masked(text), expected);
    }
}

#[test]
fn blocks_of_private_keys() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    for (body, expected) in [
        ("\nMIIE\n-----END PRIVATE KEY-----\nrest", "<SECRET>\nrest"),
        ("\nProc-Type: 4,ENCRYPTED\n\nLINE\n-----END RSA PRIVATE KEY-----\nrest", "<SECRET>\nrest"),
        ("\nLINE\nLINE\nAb12\n\nThe rest - of it - stays.", "<SECRET>\n\nThe rest - of it - stays."),
        ("\nLINE\nLINE\n", "<SECRET>\n"),
        ("\nLINE\nEpilogue\n", "<SECRET>\nEpilogue\n"),
        ("\nMIIE\nand the rest", "<SECRET>\nand the rest"),
        ("\nrest\nof the document", "<SECRET>\nrest\nof the document"),
        (" begins a file. LINE", "<SECRET> begins a file. LINE"),
        ("\\nLINE\\nLINE\\nAb=\\n\", \"id\": 1", "<SECRET>\\n\", \"id\": 1"),
        (" LINE LINE Ab== and more", "<SECRET> and more"),
        ("\nDEK-Info: AES-128-CBC,0A1B\n\nLINE\nwords of text", "<SECRET>\nwords of text"),
    ] {
        let text = format!("-----BEGIN PRIVATE KEY-----{}", body.replace("LINE", line));
        assert_eq!(masked(&text), expected.replace("LINE", line));
    }
    let far = format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----", "some words\n".repeat(4000));
    assert_eq!(masked(&far), far.replacen("-----BEGIN PRIVATE KEY-----", "<SECRET>", 1));
}

#[test]
fn keys_look_random() {
    for key in [
        "sk-abcdefABCDEF0123456789abcdefABCDEF0123456789abcdef",
        "sk-proj-Ab1cD2eF3gH4iJ5kL6mN7oP8_qR9sT0uV1wX2yZ3",
        "sk-ant-api03-Ab1cD2eF3gH4iJ5kL6mN7oP8-qR9sT0uV1wX2yZ3",
        "sk-proj-abcdefghijklmnopqrstuv",
        "sk-0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(masked(&format!("key={key}; ")), "key=<SECRET>; ");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_address_is_masked_wherever_it_stands(
        groups in proptest::array::uniform8(prop_oneof![Just(0u16), any::<u16>()]),
        before in "(|.*[^_.:\\p{Alphabetic}\\p{N}]|[g-z]{1,6}:)",
        behind in "(|[.:,!)\\]/%-]{1,3}|[.:]? .*)",
    ) {
        let address = std::net::Ipv6Addr::from(groups).to_string();
        prop_assume!(address.len() >= 6 && address.bytes().any(|byte| byte.is_ascii_digit()));
        prop_assume!(!behind.starts_with("::"));
        // The pattern's tables of Unicode are older than those of the standard library, which know more letters.
        prop_assume!(before.ends_with(':') || !before.ends_with(char::is_alphanumeric));
        let found = spans(&format!("{before}{address}{behind}"), Mask::Ip);
        prop_assert!(found.contains(&(before.len()..before.len() + address.len())), "{:?}", found);
    }

    #[test]
    fn a_card_is_masked_wherever_it_stands(
        start in 10_000_000_000_000u64..100_000_000_000_000,
        grouped: bool,
        before in "(|[0-9]{1,3}[ -]){0,3}",
        behind in "(|[ -][0-9]{1,3}){0,3}",
    ) {
        let card = (0..10).map(|last| format!("4{start}{last}")).find(|card| valid(card)).unwrap_or_default();
        let card = if grouped {
            card.as_bytes().chunks(4).map(|four| std::str::from_utf8(four).unwrap_or_default()).collect::<Vec<_>>().join(" ")
        } else {
            card
        };
        let found = spans(&format!("{before}{card}{behind}"), Mask::Card);
        let place = before.len()..before.len() + card.len();
        prop_assert!(found.iter().any(|found| found.start <= place.start && place.end <= found.end), "{:?}", found);
    }
}

/// Luhn's check as its definition has it.
fn valid(number: &str) -> bool {
    let digits = number.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { 2 * digit / 10 + 2 * digit % 10 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

#[test]
fn hostile_text_takes_linear_time() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj ";
    for unit in [
        "a@",
        ".a@",
        "1.",
        "1.1.1.1.",
        "::",
        "a:",
        "1:",
        "+1 ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n\n",
        "eyJ",
        "1 ",
        "4111 ",
        "41",
        "sk-",
        "+",
        "x-----BEGIN PRIVATE KEY-----\nVersion:a\n",
        line,
        "aeyJabcdefghijkl.eyJabcdefghijkl.abcdefghijk",
        "x555-123-4567",
    ] {
        let text = unit.repeat(200_000 / unit.len());
        let start = std::time::Instant::now();
        let _ = masked(&text);
        assert!(start.elapsed().as_secs() < 5, "{unit}");
        println!("{unit:?} {:?}", start.elapsed());
    }
}
