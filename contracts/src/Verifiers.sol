// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Text} from "./Text.sol";
import "./Errors.sol";

/// @title Which identity providers count, and how their tokens are read
/// @notice Name, issuer, id claim, session claim and case rule never change, not even after removal: they decide
/// which account is whose. An audience belongs to one verifier in one mode for ever. Everything else changes
/// under a growing version, after a delay in which users can see it coming.
abstract contract Verifiers is Ownable2Step {
    uint64 public constant MIN_DELAY = 1 days;
    uint64 public constant MAX_IAT_LIMIT = 1 days;
    uint256 public constant MAX_AUDIENCES = 32;
    uint256 public constant MAX_ALGORITHMS = 8;
    uint256 private constant _MAX_FIELD = 256;

    /// @dev Bound: the token names the session key (one round). TwoRound: commit first, then reveal.
    enum Mode {
        TwoRound,
        Bound
    }

    enum CaseRule {
        Exact,
        AsciiLower
    }

    struct Audience {
        string aud;
        Mode mode;
    }

    /// @dev What never changes.
    struct Identity {
        string name;
        string issuer;
        string idClaim;
        string sessionClaim;
        CaseRule caseRule;
    }

    /// @dev What a new version may change.
    struct Terms {
        string jwksUrl;
        Audience[] audiences;
        string[] algorithms;
        uint64 iatLimitS;
        address owner;
    }

    struct VerifierView {
        Identity identity;
        Terms terms;
        uint64 version;
        bool removed;
        uint64 effectiveAt;
    }

    struct Version {
        Terms terms;
        uint64 version;
        bool removed;
        uint64 effectiveAt;
    }

    struct Verifier {
        Identity identity;
        Version current;
        Version pending;
        uint64 lastVersion;
    }

    struct Claim {
        bytes32 verifier;
        Mode mode;
    }

    /// @notice Seconds between the announcement of a change and its effect.
    uint64 public immutable changeDelayS;
    bytes32[] private _names;
    mapping(bytes32 => Verifier) private _verifiers;
    mapping(bytes32 => Claim) private _claims;

    event VerifierAdded(string name);
    event VerifierChangeAnnounced(string name, uint64 version, uint64 effectiveAt, bool removed);
    event VerifierChangeWithdrawn(string name, uint64 version);

    constructor(bool dev, uint64 delayS) {
        if (!dev && delayS < MIN_DELAY) revert DelayTooShort(delayS);
        changeDelayS = delayS;
    }

    // ---- changes

    /// @notice Add a provider under a new name; takes effect at once, as nobody can have an account there yet.
    function addVerifier(Identity calldata identity, Terms calldata terms) external onlyOwner {
        if (!Text.isName(identity.name, 64)) revert BadVerifierName(identity.name);
        bytes32 id = keccak256(bytes(identity.name));
        Verifier storage v = _verifiers[id];
        if (v.lastVersion != 0) revert VerifierNameTaken(identity.name);
        if (!Text.isToken(identity.issuer, _MAX_FIELD)) revert BadVerifierField("issuer");
        if (!Text.isToken(identity.idClaim, 64)) revert BadVerifierField("idClaim");
        if (!Text.isToken(identity.sessionClaim, 64)) revert BadVerifierField("sessionClaim");
        v.identity = identity;
        v.lastVersion = 1;
        _names.push(id);
        _claim(id, identity.issuer, terms);
        _write(v.current, terms);
        (v.current.version, v.current.effectiveAt) = (1, uint64(block.timestamp));
        emit VerifierAdded(identity.name);
    }

    /// @notice Announce new terms; they hold after the delay. One change at a time.
    function changeVerifier(string calldata name, Terms calldata terms) external {
        (bytes32 id, Verifier storage v) = _mine(name);
        _claim(id, v.identity.issuer, terms);
        _write(v.pending, terms);
        _announce(v, false);
    }

    /// @notice Announce that the verifier takes no more logins. Its name and audiences stay taken.
    function removeVerifier(string calldata name) external {
        (, Verifier storage v) = _mine(name);
        v.pending.terms = v.current.terms;
        _announce(v, true);
    }

    /// @notice Take an announced change back before it holds. Its version number is not used again.
    function withdrawVerifierChange(string calldata name) external {
        (, Verifier storage v) = _owned(name);
        _settle(v);
        uint64 version = v.pending.version;
        if (version == 0) revert NoChangePending(name);
        delete v.pending;
        emit VerifierChangeWithdrawn(name, version);
    }

    // ---- views

    function verifierCount() external view returns (uint256) {
        return _names.length;
    }

    /// @notice Records in force at this block's time, in the order they were added.
    function getVerifiers(uint256 from, uint256 limit) external view returns (VerifierView[] memory page) {
        uint256 count = _names.length;
        if (from > count) from = count;
        if (limit > count - from) limit = count - from;
        page = new VerifierView[](limit);
        for (uint256 i = 0; i < limit; i++) {
            page[i] = _view(_verifiers[_names[from + i]]);
        }
    }

    function getVerifier(string calldata name) external view returns (VerifierView memory) {
        return _view(_known(name));
    }

    /// @notice The announced change, version 0 if there is none.
    function getPendingVerifier(string calldata name) external view returns (VerifierView memory r) {
        Verifier storage v = _known(name);
        r.identity = v.identity;
        if (v.pending.version == 0 || block.timestamp >= v.pending.effectiveAt) return r;
        (r.terms, r.version) = (v.pending.terms, v.pending.version);
        (r.removed, r.effectiveAt) = (v.pending.removed, v.pending.effectiveAt);
    }

    // ---- inside

    function _view(Verifier storage v) private view returns (VerifierView memory r) {
        bool due = v.pending.version != 0 && block.timestamp >= v.pending.effectiveAt;
        Version storage version = due ? v.pending : v.current;
        r.identity = v.identity;
        (r.terms, r.version) = (version.terms, version.version);
        (r.removed, r.effectiveAt) = (version.removed, version.effectiveAt);
    }

    function _known(string calldata name) private view returns (Verifier storage v) {
        v = _verifiers[keccak256(bytes(name))];
        if (v.lastVersion == 0) revert UnknownVerifier(name);
    }

    function _owned(string calldata name) private view returns (bytes32 id, Verifier storage v) {
        id = keccak256(bytes(name));
        v = _known(name);
        bool due = v.pending.version != 0 && block.timestamp >= v.pending.effectiveAt;
        address mine = due ? v.pending.terms.owner : v.current.terms.owner;
        if (msg.sender != owner() && msg.sender != mine) revert NotVerifierOwner(msg.sender);
    }

    function _mine(string calldata name) private returns (bytes32 id, Verifier storage v) {
        (id, v) = _owned(name);
        _settle(v);
        if (v.pending.version != 0) revert ChangePending(name);
        if (v.current.removed) revert VerifierRemoved(name);
    }

    /// @dev Moves a change whose time has come into `current`.
    function _settle(Verifier storage v) private {
        if (v.pending.version == 0 || block.timestamp < v.pending.effectiveAt) return;
        v.current = v.pending;
        delete v.pending;
    }

    function _announce(Verifier storage v, bool removed) private {
        v.pending.version = ++v.lastVersion;
        v.pending.removed = removed;
        v.pending.effectiveAt = uint64(block.timestamp) + changeDelayS;
        emit VerifierChangeAnnounced(v.identity.name, v.pending.version, v.pending.effectiveAt, removed);
    }

    /// @dev Takes every (issuer, audience) for this verifier in its mode, for ever.
    function _claim(bytes32 id, string memory issuer, Terms calldata terms) private {
        uint256 count = terms.audiences.length;
        if (count == 0 || count > MAX_AUDIENCES) revert BadVerifierField("audiences");
        for (uint256 i = 0; i < count; i++) {
            Audience calldata a = terms.audiences[i];
            if (!Text.isToken(a.aud, _MAX_FIELD)) revert BadVerifierField("audiences");
            for (uint256 j = 0; j < i; j++) {
                if (keccak256(bytes(a.aud)) == keccak256(bytes(terms.audiences[j].aud))) {
                    revert AudienceTaken(issuer, a.aud);
                }
            }
            Claim storage c = _claims[keccak256(abi.encode(issuer, a.aud))];
            if (c.verifier == 0) (c.verifier, c.mode) = (id, a.mode);
            if (c.verifier != id) revert AudienceTaken(issuer, a.aud);
            if (c.mode != a.mode) revert AudienceModeFixed(issuer, a.aud);
        }
    }

    function _write(Version storage version, Terms calldata terms) private {
        if (!Text.isToken(terms.jwksUrl, _MAX_FIELD)) revert BadVerifierField("jwksUrl");
        if (terms.iatLimitS == 0 || terms.iatLimitS > MAX_IAT_LIMIT) revert BadVerifierField("iatLimitS");
        if (terms.algorithms.length == 0 || terms.algorithms.length > MAX_ALGORITHMS) {
            revert BadVerifierField("algorithms");
        }
        Terms storage to = version.terms;
        delete to.algorithms;
        for (uint256 i = 0; i < terms.algorithms.length; i++) {
            if (!_isAsymmetric(terms.algorithms[i])) revert BadVerifierField("algorithms");
            to.algorithms.push(terms.algorithms[i]);
        }
        to.jwksUrl = terms.jwksUrl;
        to.iatLimitS = terms.iatLimitS;
        to.owner = terms.owner;
        delete to.audiences;
        for (uint256 i = 0; i < terms.audiences.length; i++) {
            to.audiences.push(terms.audiences[i]);
        }
    }

    /// @dev Never `none`, never a shared secret: anyone who can check such a token can make one.
    function _isAsymmetric(string calldata algorithm) private pure returns (bool) {
        bytes32 h = keccak256(bytes(algorithm));
        return h == keccak256("RS256") || h == keccak256("RS384") || h == keccak256("RS512")
            || h == keccak256("PS256") || h == keccak256("ES256") || h == keccak256("ES256K")
            || h == keccak256("EdDSA");
    }
}
